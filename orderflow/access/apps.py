from django.apps import AppConfig
from django.db.models.signals import post_save


class AccessConfig(AppConfig):
    name = "orderflow.access"

    def ready(self) -> None:
        from orderflow.access.revoking import revoke_tokens  # noqa: PLC0415  # needs the models
        from orderflow.tenancy.models import User  # noqa: PLC0415

        post_save.connect(revoke_tokens, sender=User, dispatch_uid="revoke tokens")
