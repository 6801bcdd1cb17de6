from django.apps import AppConfig
from django.db.backends.signals import connection_created
from django.utils.translation import gettext_lazy as _


class OrdersConfig(AppConfig):
    name = "orderflow.orders"
    verbose_name = _("Orders")

    def ready(self) -> None:
        from orderflow.audit.search import finds_entities  # noqa: PLC0415  # needs the models
        from orderflow.orders import messages  # noqa: F401, PLC0415  # registers them
        from orderflow.orders.audited import order_ids  # noqa: PLC0415
        from orderflow.search import lookups  # noqa: PLC0415

        connection_created.connect(lookups.on_connection, dispatch_uid="search form")
        finds_entities(order_ids)
