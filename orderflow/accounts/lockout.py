"""Lock out clients that guess passwords, in the API and the admin. django-axes counts; the rules are here.

Nobody can keep a named person out from everywhere: where the account logged in lately, only its own failures count.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from axes.backends import AxesStandaloneBackend
from axes.handlers.database import AxesDatabaseHandler
from axes.handlers.proxy import AxesProxyHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.signals import user_login_failed
from django.core.exceptions import PermissionDenied
from django.db.models import Max, QuerySet, Sum
from django.http import HttpRequest
from django.utils import timezone

from orderflow.accounts.models import ThrottleCount
from orderflow.audit.context import client_address
from orderflow.audit.models import Action, AuditLog
from orderflow.tenancy import scope
from orderflow.tenancy.addresses import LONGEST, stored_form
from orderflow.tenancy.models import User

# No stored address begins with it.
NO_ADDRESS = "not an address: "
FAMILIAR_FOR = timedelta(days=90)
Attempts = QuerySet[AccessAttempt]


class LockoutBackend(AxesStandaloneBackend):  # type: ignore[misc]  # axes has no types
    """Stands before the backend that knows passwords."""

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> None:
        # Without a request there is no login: a command asks.
        if request is None:
            return
        try:
            super().authenticate(request, **credentials)
        except PermissionDenied:
            mark_refused(request)
            raise


class LockoutHandler(AxesDatabaseHandler):  # type: ignore[misc]  # axes has no types
    def get_failures(self, request: HttpRequest, credentials: Mapping[str, Any] | None = None) -> int:
        locked = locked_until(account(request, credentials), place(request), now=timezone.now())
        return settings.AXES_FAILURE_LIMIT if locked else 0


def mark_refused(request: HttpRequest) -> None:
    """Make the answer that of a lock; the audit log has one entry for all attempts while it lasts."""
    request.axes_locked_out = request.refused_by_lock = True  # type: ignore[attr-defined]  # the first is axes' own


def is_right(request: HttpRequest, person: User, password: str, *, step: str) -> bool:
    """Return whether a logged-in user's password is right. A wrong one counts and is audited as a failed login."""
    credentials = {"username": person.email, "step": step}
    if AxesProxyHandler.is_allowed(request, credentials):
        if person.check_password(password):
            return True
    else:
        mark_refused(request)
    user_login_failed.send(sender=__name__, credentials=credentials, request=request)
    return False


def is_already_reported(request: HttpRequest | None, credentials: Mapping[str, Any]) -> bool:
    """Return True for an attempt during a lock that is not the first of its span: the audit log needs one entry."""
    if request is None or not getattr(request, "refused_by_lock", False):
        return False
    where = f"{account(request, credentials)} {place(request)}"
    key = f"locked:{hashlib.sha256(where.encode()).hexdigest()}"
    return ThrottleCount.wait(key, limit=1, per=settings.AXES_COOLOFF_TIME) is not None


def locked_until(email: str, network: str | None, *, now: datetime) -> datetime | None:
    """Return when the last lock on this account from this place ends, or None."""
    recent = AccessAttempt.objects.filter(attempt_time__gt=now - settings.AXES_COOLOFF_TIME)
    ends = [end for end in _locks(recent, email, network, now) if end is not None]
    return max(ends, default=None)


@dataclass(frozen=True, slots=True)
class Lock:
    """``network`` None: wherever the account has not logged in lately."""

    network: str | None
    until: datetime


def locks_on(email: str, *, now: datetime) -> list[Lock]:
    """The locks on one account, from wherever; not those on an address, which keep out everybody there."""
    failed = _failed(email).filter(attempt_time__gt=now - settings.AXES_COOLOFF_TIME)
    networks = failed.order_by("ip_address").values_list("ip_address", flat=True).distinct()
    ends = {
        network: _reached(failed.filter(ip_address=network), settings.AXES_FAILURE_LIMIT)
        for network in networks
    }
    ends[None] = _reached(failed, settings.LOGIN_FAILURES_PER_ACCOUNT)
    return [Lock(network, until) for network, until in ends.items() if until is not None]


def open_locks(email: str) -> int:
    """Forget failed logins; return how many."""
    failed = _failed(email)
    failures = failed.aggregate(failures=Sum("failures_since_start"))["failures"] or 0
    failed.delete()
    return int(failures)


def _failed(email: str) -> Attempts:
    attempts: Attempts = AccessAttempt.objects.filter(username=_counted_as(email))
    return attempts


def account(request: HttpRequest, credentials: Mapping[str, Any] | None = None) -> str:
    """Return the name under which failures are counted: of a user that exists, the stored address."""
    return _counted_as(str((credentials or {}).get("username") or request.POST.get("username") or ""))


def _counted_as(email: str) -> str:
    """Keep apart what finds different users: text that is no address of a user never counts as one that is."""
    return stored_form(email) or NO_ADDRESS + email.replace("\x00", "\ufffd")[: LONGEST - len(NO_ADDRESS)]


def place(request: HttpRequest) -> str | None:
    """The client's address; of IPv6 the network, because who has one address there has all of its 2**64."""
    return _network(client_address(request))


def _locks(recent: Attempts, email: str, network: str | None, now: datetime) -> Iterator[datetime | None]:
    here = recent.filter(ip_address=network)
    yield _reached(here.filter(username=email), settings.AXES_FAILURE_LIMIT)
    yield _reached(here, settings.LOGIN_FAILURES_PER_ADDRESS)
    everywhere = _reached(recent.filter(username=email), settings.LOGIN_FAILURES_PER_ACCOUNT)
    if everywhere and not _familiar(email, network, now):
        yield everywhere


def _reached(attempts: Attempts, limit: int) -> datetime | None:
    found = attempts.aggregate(failures=Sum("failures_since_start"), last=Max("attempt_time"))
    if (found["failures"] or 0) < limit:
        return None
    last: datetime = found["last"]
    return last + settings.AXES_COOLOFF_TIME


@scope.everything()
def _familiar(email: str, network: str | None, now: datetime) -> bool:
    user = User.objects.by_email(email).first()
    if user is None or network is None:
        return False
    logins = AuditLog.objects.filter(
        entity_type="User",
        entity_id=str(user.pk),
        action=Action.LOGIN_SUCCEEDED,
        created_at__gt=now - FAMILIAR_FOR,
    )
    return network in {_network(address) for address in logins.values_list("ip", flat=True).distinct()}


def _network(address: str | None) -> str | None:
    if address is None or not isinstance(ip_address(address), IPv6Address):
        return address
    return str(ip_network(f"{address}/64", strict=False).network_address)
