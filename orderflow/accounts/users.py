"""Create and change users. Each change is audited and ends the user's sessions and API tokens."""

from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from orderflow.accounts import lockout
from orderflow.accounts.models import Token
from orderflow.audit.models import Action
from orderflow.audit.services import Entry, record
from orderflow.tenancy.models import Org, User
from orderflow.tenancy.roles import Role

# A change of these fields ends the sessions and tokens of the user.
DECIDES_ACCESS = ("role", "is_active")
# Fields that decide a login. Each way to end sessions and tokens changes one of them.
PROVEN_BY = ("password", "sessions_ended", "is_active", "email")


class AccessChanged(Exception):
    """Password, second factor, role or state changed after they were checked; start again with the new ones."""

    def __str__(self) -> str:
        return _("Your account was changed in the meantime. Nothing was changed now. Try again.")


class LastAdmin(Exception):
    """The org would have no user left who can change its users."""

    def __str__(self) -> str:
        return _("This is the last admin of the organisation. Give another user the role Admin first.")


def add_user(user: User, *, actor: User) -> None:
    with transaction.atomic():
        user.save()
        _record(Action.USER_CREATED, user, actor, after=_fields_of(user))


def change_user(user: User, *, actor: User) -> None:
    """Save e-mail address, role and `is_active`. Raise `LastAdmin` if no admin would be left."""
    with transaction.atomic():
        before, after = _fields_of(_locked(user)), _fields_of(user)
        changed = [name for name in after if before[name] != after[name]]
        if not changed:
            return
        require_an_admin_besides(user, actor=actor)
        user.save(update_fields=changed)
        if any(name in DECIDES_ACCESS for name in changed):
            end_access(user)
        _record(
            Action.USER_CHANGED,
            user,
            actor,
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
        )


def lock_unchanged(user: User) -> None:
    """Lock the user's row until the transaction ends. Raise `AccessChanged` if what was checked no longer holds.

    Call it in the transaction that creates a token: a password change, a new or reset second factor and a deactivation
    each change this row before they delete tokens. So either the change is seen here, or it waits for the token to be
    committed and then deletes it.
    """
    now = User.objects.select_for_update(of=("self",)).filter(pk=user.pk).first()
    if now is None or any(getattr(now, name) != getattr(user, name) for name in PROVEN_BY):
        raise AccessChanged


def change_own_password(user: User, password: str) -> None:
    """Raise `AccessChanged` if the password was changed after the old one was checked."""
    with transaction.atomic():
        lock_unchanged(user)
        set_password(user, password, actor=user)


def set_password(user: User, password: str, *, actor: User) -> None:
    """Set the password and open the user's locks: most of them are due to a forgotten password."""
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        end_access(user)
        lockout.open_locks(user.email)
        _record(Action.PASSWORD_CHANGED, user, actor)


def unlock(user: User, *, actor: User) -> bool:
    """Open the user's locks. Return False if there was none. A lock on a whole address stays."""
    with transaction.atomic():
        failures = lockout.open_locks(user.email)
        if failures:
            _record(Action.USER_UNLOCKED, user, actor, before={"failed_logins": failures})
        return failures > 0


def end_access(user: User) -> None:
    """End all sessions and API tokens of the user."""
    # The row first: a login that holds its lock has committed its token before the deletion looks for tokens.
    User.objects.filter(pk=user.pk).update(sessions_ended=F("sessions_ended") + 1)
    Token.objects.filter(user=user).delete()
    user.refresh_from_db(fields=["sessions_ended"])


def require_an_admin_besides(user: User, *, actor: User) -> None:
    """Raise `LastAdmin` if the org would have no active admin left. Platform staff may do that."""
    stays = user.role == Role.ADMIN and user.is_active
    if stays or user.org_id is None or actor.is_platform_staff:
        return
    # Two admins who switch each other off at the same moment come one after the other here.
    Org.objects.select_for_update().get(pk=user.org_id)
    admins = User.objects.for_org(user.org_id).filter(role=Role.ADMIN, is_active=True)
    if not admins.exclude(pk=user.pk).exists():
        raise LastAdmin


def open_tokens(user: User) -> int:
    open_now: int = Token.objects.filter(user=user, expiry__gt=timezone.now()).count()
    return open_now


def _locked(user: User) -> User:
    return User.objects.select_for_update(of=("self",)).get(pk=user.pk)


def _fields_of(user: User) -> dict[str, Any]:
    return {"email": user.email, "role": user.role, "is_active": user.is_active}


def _record(action: Action, user: User, actor: User, **what: Any) -> None:
    record(
        Entry(action=action, org_id=user.org_id, entity_type="User", entity_id=user.pk, actor=actor, **what)
    )
