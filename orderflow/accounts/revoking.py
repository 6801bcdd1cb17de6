"""A changed password, or a person who is switched off, ends what was let in before."""

from typing import Any

from knox.models import get_token_model

from orderflow.tenancy.models import User


def revoke_tokens(*, instance: User, created: bool, **signal: Any) -> None:
    """Delete the user's API tokens after a new password or a deactivation. Sessions end without this."""
    # Django keeps a password that was set just now until it is saved.
    if not created and (getattr(instance, "_password", None) is not None or not instance.is_active):
        get_token_model().objects.filter(user=instance).delete()
