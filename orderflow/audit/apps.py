from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class AuditConfig(AppConfig):
    name = "orderflow.audit"
    verbose_name = _("Audit log")

    def ready(self) -> None:
        from orderflow.audit import append_only  # noqa: PLC0415  # needs the models

        post_migrate.connect(append_only.after_migrate, sender=self)
