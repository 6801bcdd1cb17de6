from django.apps import AppConfig


class ErpConnectorsConfig(AppConfig):
    name = "erp_connectors"
    verbose_name = "ERP dropzone"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from erp_connectors import checks  # noqa: F401, PLC0415  # registers the system checks
