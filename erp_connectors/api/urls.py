from django.urls import path, re_path
from rest_framework.routers import SimpleRouter

from erp_connectors.api.accounts.login import Login, Logout, Tokens
from erp_connectors.api.accounts.me import Me
from erp_connectors.api.acks.views import AckFiles
from erp_connectors.api.audit.views import AuditEntries
from erp_connectors.api.common.errors import no_such_route
from erp_connectors.api.connections.views import Connectors
from erp_connectors.api.description.index import Index
from erp_connectors.api.description.views import Description, DescriptionPage, FileSchema
from erp_connectors.api.exports.views import Exports
from erp_connectors.api.orders.views import Customers, Orders

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
