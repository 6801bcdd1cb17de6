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

# What ends the sessions and tokens of somebody when it changes.
DECIDES_ACCESS = ("role", "is_active")


# What a login is decided by. Each way to end sessions and tokens changes one of them.
PROVEN_BY = ("password", "sessions_ended", "is_active", "email")


class AccessChanged(Exception):
    """Password, second factor, role or state changed after they were checked; start again with the new ones."""

    def __str__(self) -> str:
        return _("Your account was changed in the meantime. Nothing was changed now. Try again.")


class LastAdmin(Exception):
    """The org would have no user left who can change its users."""

    def __str__(self) -> str:
        return _("This is the last admin of the organisation. Give another user the role Admin first.")


def add_person(person: User, *, actor: User) -> None:
    with transaction.atomic():
        person.save()
        _record(Action.USER_CREATED, person, actor, after=_facts(person))


def change_person(person: User, *, actor: User) -> None:
    """Saves e-mail, role and whether switched on. Raises `LastAdmin`."""
    with transaction.atomic():
        before, after = _facts(_locked(person)), _facts(person)
        changed = [name for name in after if before[name] != after[name]]
        if not changed:
            return
        require_an_admin_besides(person, actor=actor)
        person.save(update_fields=changed)
        if any(name in DECIDES_ACCESS for name in changed):
            end_access(person)
        _record(
            Action.USER_CHANGED,
            person,
            actor,
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
        )


def lock_unchanged(person: User) -> None:
    """Lock the user's row until the transaction ends. Raise `AccessChanged` if what was checked no longer holds.

    Call it in the transaction that creates a token: a password change, a new or reset second factor and a deactivation
    each change this row before they delete tokens. So either the change is seen here, or it waits for the token to be
    committed and then deletes it.
    """
    now = User.objects.select_for_update(of=("self",)).filter(pk=person.pk).first()
    if now is None or any(getattr(now, name) != getattr(person, name) for name in PROVEN_BY):
        raise AccessChanged


def change_own_password(person: User, password: str) -> None:
    """Raises `AccessChanged` if the old password that was checked is not the present one any more."""
    with transaction.atomic():
        lock_unchanged(person)
        set_password(person, password, actor=person)


def set_password(person: User, password: str, *, actor: User) -> None:
    """Opens their locks, too: a forgotten password is why most of them closed."""
    with transaction.atomic():
        person.set_password(password)
        person.save(update_fields=["password"])
        end_access(person)
        lockout.open_locks(person.email)
        _record(Action.PASSWORD_CHANGED, person, actor)


def unlock(person: User, *, actor: User) -> bool:
    """False: there was nothing to open. A lock on a whole address stays, because others guessed there, too."""
    with transaction.atomic():
        failures = lockout.open_locks(person.email)
        if failures:
            _record(Action.USER_UNLOCKED, person, actor, before={"failed_logins": failures})
        return failures > 0


def end_access(person: User) -> None:
    """Of everybody who is logged in as this person, in a browser or with a token."""
    # The row first: a login that holds its lock has committed its token before the deletion looks for tokens.
    User.objects.filter(pk=person.pk).update(sessions_ended=F("sessions_ended") + 1)
    Token.objects.filter(user=person).delete()
    person.refresh_from_db(fields=["sessions_ended"])


def require_an_admin_besides(person: User, *, actor: User) -> None:
    """Unless this one stays an admin, or platform staff close the org. Raises `LastAdmin`."""
    stays = person.role == Role.ADMIN and person.is_active
    if stays or person.org_id is None or actor.is_platform_staff:
        return
    # Two admins who switch each other off at the same moment come one after the other here.
    Org.objects.select_for_update().get(pk=person.org_id)
    admins = User.objects.for_org(person.org_id).filter(role=Role.ADMIN, is_active=True)
    if not admins.exclude(pk=person.pk).exists():
        raise LastAdmin


def open_tokens(person: User) -> int:
    open_now: int = Token.objects.filter(user=person, expiry__gt=timezone.now()).count()
    return open_now


def _locked(person: User) -> User:
    return User.objects.select_for_update(of=("self",)).get(pk=person.pk)


def _facts(person: User) -> dict[str, Any]:
    return {"email": person.email, "role": person.role, "is_active": person.is_active}


def _record(action: Action, person: User, actor: User, **what: Any) -> None:
    record(
        Entry(
            action=action, org_id=person.org_id, entity_type="User", entity_id=person.pk, actor=actor, **what
        )
    )
