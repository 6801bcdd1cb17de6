"""Record successful and failed logins in the audit log."""

from typing import Any

from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest

from orderflow.accounts.lockout import is_already_reported
from orderflow.audit.models import Action
from orderflow.audit.services import Entry, record
from orderflow.tenancy.models import User


@receiver(user_logged_in)
def login_succeeded(sender: type[User], user: User, **_: Any) -> None:
    record(
        Entry(
            action=Action.LOGIN_SUCCEEDED,
            org_id=user.org_id,
            entity_type="User",
            entity_id=user.pk,
            actor=user,
        )
    )


@receiver(user_login_failed)
def login_failed(
    sender: str, credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any
) -> None:
    if is_already_reported(request, credentials):
        return
    locked = {"locked": True} if getattr(request, "refused_by_lock", False) else {}
    # The tried e-mail is kept, the tried password never.
    tried = str(credentials.get("username") or credentials.get("email") or "")[:254]
    step = {"step": credentials["step"]} if "step" in credentials else {}
    user = User.objects.by_email(tried).first()
    record(
        Entry(
            action=Action.LOGIN_FAILED,
            org_id=user.org_id if user else None,
            entity_type="User",
            entity_id=user.pk if user else "",
            after={"email": tried, **step, **locked},
        )
    )
