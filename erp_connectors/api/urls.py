from django.urls import path, re_path
from rest_framework.routers import SimpleRouter

from erp_connectors.api.ack_files import AckFiles
from erp_connectors.api.audit import AuditEntries
from erp_connectors.api.connectors import Connectors
from erp_connectors.api.errors import no_such_route
from erp_connectors.api.exports import Exports
from erp_connectors.api.index import Index
from erp_connectors.api.login import Login, Logout, Tokens
from erp_connectors.api.orders import Customers, Orders
from erp_connectors.api.people import Me
from erp_connectors.api.schemas import Description, DescriptionPage, FileSchema

router = SimpleRouter(trailing_slash=False)
router.register("draft-orders", Orders)
router.register("erp-exports", Exports)
router.register("ack-files", AckFiles)
router.register("connectors", Connectors)
router.register("customers", Customers)
router.register("audit-log", AuditEntries)
router.register("auth/tokens", Tokens)

urlpatterns = [
    path("", Index.as_view(), name="api-index"),
    path("auth/login", Login.as_view(), name="api-login"),
    path("auth/logout", Logout.as_view(), name="api-logout"),
    path("me", Me.as_view(), name="api-me"),
    path("schema", Description.as_view(), name="api-schema"),
    path("schemas/<str:name>", FileSchema.as_view(), name="api-file-schema"),
    path("docs", DescriptionPage.as_view(), name="api-docs"),
    *router.urls,
    re_path("", no_such_route),
]
