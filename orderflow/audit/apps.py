from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AuditConfig(AppConfig):
    name = "orderflow.audit"
    verbose_name = _("Audit log")

    def ready(self) -> None:
        from orderflow.audit import signals  # noqa: F401, PLC0415  # connects the login receivers
