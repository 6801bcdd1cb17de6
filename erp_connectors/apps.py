from django.apps import AppConfig
from django.conf import settings
from django.db.backends.signals import connection_created
from django.utils.translation import gettext_lazy as _


class ErpConnectorsConfig(AppConfig):
    name = "erp_connectors"
    verbose_name = _("ERP dropzone")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from erp_connectors import (  # noqa: PLC0415  # they register system checks and messages
            checks,  # noqa: F401
            leases,
            messages,  # noqa: F401
        )
        from erp_connectors.services.status.search import export_ids  # noqa: PLC0415  # needs the models
        from orderflow.audit.search import finds_entities  # noqa: PLC0415

        connection_created.connect(leases.bound_transactions)
        finds_entities(export_ids)
        if getattr(settings, "TRACING", False):
            from orderflow import traces  # noqa: PLC0415  # only where spans are wanted

            traces.start()
