from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate
from django.utils.translation import gettext_lazy as _


class TenancyConfig(AppConfig):
    name = "orderflow.tenancy"
    verbose_name = _("Organisations and people")

    def ready(self) -> None:
        from orderflow.tenancy import checks, enforcement  # noqa: PLC0415  # need the models

        pre_migrate.connect(enforcement.claim_for_migrations, sender=self)
        post_migrate.connect(checks.after_migrate, sender=self)
