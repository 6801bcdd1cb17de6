from django.apps import AppConfig
from django.conf import settings
from django.db.backends.signals import connection_created
from django.utils.translation import gettext_lazy as _


class ErpConnectorsConfig(AppConfig):
    name = "erp_connectors"
    verbose_name = _("ERP dropzone")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from erp_connectors import checks, leases  # noqa: F401, PLC0415  # checks registers the system checks

        connection_created.connect(leases.bound_transactions)
        if getattr(settings, "TRACING", False):
            from orderflow import traces  # noqa: PLC0415  # only where spans are wanted

            traces.start()
