from django.urls import path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.permissions import AllowAny
from rest_framework.routers import SimpleRouter

from erp_connectors.api.connectors import Connectors
from erp_connectors.api.exports import Exports
from erp_connectors.api.login import Login, Logout, Tokens
from erp_connectors.api.orders import Orders

router = SimpleRouter(trailing_slash=False)
router.register("draft-orders", Orders)
router.register("erp-exports", Exports)
router.register("connectors", Connectors)
router.register("auth/tokens", Tokens)

urlpatterns = [
    path("auth/login", Login.as_view(), name="api-login"),
    path("auth/logout", Logout.as_view(), name="api-logout"),
    path("schema", SpectacularAPIView.as_view(permission_classes=[AllowAny]), name="api-schema"),
    path(
        "docs",
        SpectacularSwaggerView.as_view(url_name="api-schema", permission_classes=[AllowAny]),
        name="api-docs",
    ),
    *router.urls,
]
