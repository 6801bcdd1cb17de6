from django.apps import AppConfig
from django.db.models.signals import post_save


class AccountsConfig(AppConfig):
    name = "orderflow.accounts"
    # Tables and settings keep the label that they were made with.
    label = "access"

    def ready(self) -> None:
        from orderflow.accounts import login_audit  # noqa: F401, PLC0415  # connects the login receivers
        from orderflow.accounts.revoking import revoke_tokens  # noqa: PLC0415  # needs the models
        from orderflow.tenancy.models import User  # noqa: PLC0415

        post_save.connect(revoke_tokens, sender=User, dispatch_uid="revoke tokens")
