from django.urls import path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny
from rest_framework.routers import SimpleRouter

from erp_connectors.api.audit import AuditEntries
from erp_connectors.api.connectors import Connectors
from erp_connectors.api.errors import no_such_route
from erp_connectors.api.exports import Exports
from erp_connectors.api.login import Login, Logout, Tokens
from erp_connectors.api.orders import Customers, Orders
from erp_connectors.api.people import Me
from erp_connectors.api.schemas import FileSchema

router = SimpleRouter(trailing_slash=False)
router.register("draft-orders", Orders)
router.register("erp-exports", Exports)
router.register("connectors", Connectors)
router.register("customers", Customers)
router.register("audit-log", AuditEntries)
router.register("auth/tokens", Tokens)

urlpatterns = [
    path("auth/login", Login.as_view(), name="api-login"),
    path("auth/logout", Logout.as_view(), name="api-logout"),
    path("me", Me.as_view(), name="api-me"),
    path("schema", SpectacularAPIView.as_view(permission_classes=[AllowAny]), name="api-schema"),
    path("schemas/<str:name>", FileSchema.as_view(), name="api-file-schema"),
    path(
        "docs",
        # Its script and style as files of their own: the content security policy allows nothing inline.
        SpectacularSwaggerSplitView.as_view(
            url_name="api-schema",
            template_name="erp_connectors/api_docs.html",
            permission_classes=[AllowAny],
        ),
        name="api-docs",
    ),
    *router.urls,
    re_path("", no_such_route),
]
