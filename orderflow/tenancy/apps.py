from django.apps import AppConfig
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate, pre_migrate
from django.utils.translation import gettext_lazy as _

from orderflow import private_files


class TenancyConfig(AppConfig):
    name = "orderflow.tenancy"
    verbose_name = _("Organisations and users")

    def ready(self) -> None:
        from orderflow.tenancy import checks  # noqa: PLC0415  # need the models
        from orderflow.tenancy.rls import install  # noqa: PLC0415  # need the models

        connection_created.connect(private_files.on_connection, dispatch_uid="private files")
        pre_migrate.connect(install.refuse_hidden_rows, sender=self)
        post_migrate.connect(checks.after_migrate, sender=self)
