"""Set up, use and end second factors. Each step is audited without any secret."""

from typing import Any

import structlog
from axes.handlers.proxy import AxesProxyHandler
from django.conf import settings
from django.contrib.auth.signals import user_login_failed
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from orderflow.accounts import lockout
from orderflow.accounts.users import AccessChanged, end_access, lock_unchanged
from orderflow.audit.models import Action
from orderflow.audit.services import Entry, record
from orderflow.second_factor import codes
from orderflow.second_factor.models import RecoveryCode, SecondFactor
from orderflow.second_factor.sealing import opened, sealed
from orderflow.secrets.crypto import Undecryptable
from orderflow.tenancy.models import User
from orderflow.tenancy.roles import Capability

NOBODY, ADMINS, ALL = "none", "admins", "all"
log = structlog.get_logger(__name__)


class NotSetUp(Exception):
    """The first code was wrong, or another page was faster."""


def has_one(person: User) -> bool:
    found: bool = SecondFactor.objects.filter(pk=person.pk).exists()
    return found


def takes_recovery_codes_only(person: User) -> bool:
    """Return True after too many wrong codes. This stops slow guessing from many addresses."""
    factor = SecondFactor.objects.filter(pk=person.pk).first()
    return factor is not None and factor.takes_recovery_codes_only


def lacks_one(person: User) -> bool:
    """Return True if the user must have a second factor and has none."""
    required: str = settings.REQUIRE_SECOND_FACTOR
    needed = required == ALL or (required == ADMINS and person.can(Capability.ADMINISTER))
    return needed and not has_one(person)


def set_up(person: User, secret: bytes, code: str) -> list[str]:
    """The recovery codes, to be shown once. Ends all sessions and API tokens, which knew no code. Raises `NotSetUp`."""
    step = codes.matching_step(secret, codes.written_plainly(code), now=timezone.now())
    if step is None:
        raise NotSetUp
    with transaction.atomic():
        try:
            lock_unchanged(person)
        except AccessChanged:
            raise NotSetUp from None
        if has_one(person):
            raise NotSetUp
        factor = SecondFactor.objects.create(user=person, secret=sealed(secret, person.pk), last_step=step)
        end_access(person)
        _record(Action.SECOND_FACTOR_SET_UP, person, person)
        return _new_recovery_codes(factor)


def passes(person: User, code: str, request: HttpRequest) -> bool:
    """Return True if a code is right, and use it up. A wrong one counts as a wrong password does, and any is one
    while the account is locked; the answer to the request then becomes that of a lock.
    """
    with transaction.atomic():
        # Whoever tries many at once is counted one by one.
        factor = SecondFactor.objects.select_for_update().filter(pk=person.pk).first()
        credentials = {"username": person.email, "step": "code"}
        locked = not AxesProxyHandler.is_allowed(request, credentials)
        if factor and not locked:
            if _used(factor, codes.written_plainly(code)):
                return True
            SecondFactor.objects.filter(pk=factor.pk).update(wrong_in_a_row=F("wrong_in_a_row") + 1)
        if locked:
            lockout.mark_refused(request)
        user_login_failed.send(sender=__name__, credentials=credentials, request=request)
    return False


def turn_off(person: User) -> None:
    with transaction.atomic():
        if _removed(person):
            _record(Action.SECOND_FACTOR_REMOVED, person, person)


def reset(person: User, *, actor: User | None) -> bool:
    """Reset the second factor of a user who lost device and recovery codes. Return False if there was none."""
    with transaction.atomic():
        if not _removed(person):
            return False
        end_access(person)
        _record(Action.SECOND_FACTOR_RESET, person, actor)
        return True


def renew_recovery_codes(person: User) -> list[str]:
    """To be shown once; those before no longer work."""
    with transaction.atomic():
        factor = SecondFactor.objects.select_for_update().get(pk=person.pk)
        factor.recovery_codes.all().delete()
        _record(Action.RECOVERY_CODES_RENEWED, person, person)
        return _new_recovery_codes(factor)


def recovery_codes_left(person: User) -> int:
    left: int = RecoveryCode.objects.filter(factor=person.pk).count()
    return left


def _used(factor: SecondFactor, code: str) -> bool:
    step = None if factor.takes_recovery_codes_only else _step(factor, code)
    if step is None and not _recovery_code_used(factor, code):
        return False
    factor.last_step, factor.wrong_in_a_row = step or factor.last_step, 0
    factor.save(update_fields=["last_step", "wrong_in_a_row"])
    return True


def _recovery_code_used(factor: SecondFactor, code: str) -> bool:
    used, _ = RecoveryCode.objects.filter(factor=factor, digest=codes.digest(code)).delete()
    if used:
        person = factor.user
        _record(Action.RECOVERY_CODE_USED, person, person, after={"left": recovery_codes_left(person)})
    return used > 0


def _step(factor: SecondFactor, code: str) -> int | None:
    try:
        secret = opened(factor.secret, factor.pk)
    except Undecryptable as error:
        # The master key is lost: recovery codes still work.
        log.error("second_factor.unreadable", user_id=str(factor.pk), why=str(error))
        return None
    return codes.matching_step(secret, code, now=timezone.now(), after=factor.last_step)


def _new_recovery_codes(factor: SecondFactor) -> list[str]:
    made = codes.new_recovery_codes()
    RecoveryCode.objects.bulk_create(RecoveryCode(factor=factor, digest=codes.digest(code)) for code in made)
    return made


def _removed(person: User) -> bool:
    removed, _ = SecondFactor.objects.filter(pk=person.pk).delete()
    return removed > 0


def _record(action: Action, person: User, actor: User | None, **what: Any) -> None:
    record(
        Entry(
            action=action, org_id=person.org_id, entity_type="User", entity_id=person.pk, actor=actor, **what
        )
    )
