"""Who guesses passwords is kept out for a while, in the API and the admin. django-axes counts; the rules are here.

Nobody can keep a named person out from everywhere: where the account logged in lately, only its own failures count.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from axes.backends import AxesStandaloneBackend
from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import Max, QuerySet, Sum
from django.http import HttpRequest
from django.utils import timezone

from orderflow.audit.context import client_address
from orderflow.audit.models import Action, AuditLog
from orderflow.tenancy import scope
from orderflow.tenancy.models import User

FAMILIAR_FOR = timedelta(days=90)
Attempts = QuerySet[AccessAttempt]


class LockoutBackend(AxesStandaloneBackend):  # type: ignore[misc]  # axes has no types
    """Stands before the backend that knows passwords."""

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> None:
        # Without a request nobody is at the door: a command asks.
        if request is not None:
            super().authenticate(request, **credentials)


class LockoutHandler(AxesDatabaseHandler):  # type: ignore[misc]  # axes has no types
    def get_failures(self, request: HttpRequest, credentials: Mapping[str, Any] | None = None) -> int:
        locked = locked_until(account(request, credentials), place(request), now=timezone.now())
        return settings.AXES_FAILURE_LIMIT if locked else 0


def locked_until(email: str, network: str | None, *, now: datetime) -> datetime | None:
    """When the last of the locks on this account from this place ends; None: there is none."""
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
    """How many failed logins were forgotten."""
    failed = _failed(email)
    failures = failed.aggregate(failures=Sum("failures_since_start"))["failures"] or 0
    failed.delete()
    return int(failures)


def _failed(email: str) -> Attempts:
    attempts: Attempts = AccessAttempt.objects.filter(username=email.strip().lower()[:254])
    return attempts


def account(request: HttpRequest, credentials: Mapping[str, Any] | None = None) -> str:
    """One account is counted as one, however its address is written."""
    given = (credentials or {}).get("username") or request.POST.get("username") or ""
    return str(given).replace("\x00", "").strip().lower()[:254]


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
    user = User.objects.filter(email__iexact=email).first()
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
