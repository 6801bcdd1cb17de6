"""One worker at a time per connection and purpose: a token and an expiry in the connection's row.

Taking is one conditional UPDATE. Whoever holds a lease proves it again in each transaction that matters, with
`renew`. Its times are the database's, so hosts with wrong clocks neither hold one for hours nor take one too early.
A lease that ran out early (a frozen worker) costs time, never correctness.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from secrets import token_hex
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, Func, Q, QuerySet, Value
from django.db.models.functions import Now

from erp_connectors import counters
from erp_connectors.models import ERPConnection
from orderflow.transitions import LostRace

log = structlog.get_logger(__name__)


class Purpose(StrEnum):
    DELIVERY = "delivery_lease"
    POLL = "poll_lease"

    @property
    def short(self) -> str:
        return self.name.lower()

    @property
    def duration(self) -> timedelta:
        """A killed worker's connection is free again after this; of a poll within a poll interval."""
        if self is Purpose.POLL:
            return min(_duration(), timedelta(seconds=max(settings.ACK_POLL_INTERVAL_SECONDS, 15)))
        return _duration()


@dataclass(frozen=True, slots=True)
class Lease:
    connection_id: UUID
    purpose: Purpose
    token: str
    took_over: bool = False


def take(connection_id: UUID, purpose: Purpose) -> Lease | None:
    """None: somebody else holds it."""
    token = token_hex(16)
    free = Q(**{f"{purpose}_token": ""})
    expired = Q(**{f"{purpose}_until__lt": Now()})
    row = ERPConnection.objects.filter(pk=connection_id)
    values = {f"{purpose}_token": token, f"{purpose}_until": Now() + purpose.duration}
    if row.filter(free).update(**values):
        return Lease(connection_id, purpose, token)
    with transaction.atomic():
        if row.filter(expired).update(**values):
            counters.count(counters.Name.TAKEOVERS, purpose.short)
            log.warning("lease.taken_over", connection_id=str(connection_id), purpose=purpose.short)
            return Lease(connection_id, purpose, token, took_over=True)
    return None


def renew(lease: Lease) -> None:
    """Raises `LostRace` when another worker has it now. Inside a transaction it also keeps takers waiting."""
    rows = _held(lease)
    if connection.vendor == "postgresql":
        rows = rows.filter(_bound_transaction())
    held = rows.update(**{f"{lease.purpose}_until": Now() + lease.purpose.duration})
    if not held:
        raise LostRace(
            f"The {lease.purpose} of connection {lease.connection_id} is held by another worker now."
        )


def release(lease: Lease) -> None:
    _held(lease).update(**{f"{lease.purpose}_token": "", f"{lease.purpose}_until": None})


def _bound_transaction() -> Func:
    """Bound the current transaction as `bound_transactions` does a session; part of a statement, to save one."""
    return Func(
        Value("idle_in_transaction_session_timeout"),
        Value(_milliseconds()),
        Value(True),
        function="set_config",
        template="%(function)s(%(expressions)s) IS NOT NULL",
        output_field=BooleanField(),
    )


@contextmanager
def kept(lease: Lease) -> Iterator[None]:
    """Renew in the background while the body works (a big file over a slow link), then release."""
    done = threading.Event()
    keeper = threading.Thread(
        target=copy_context().run, args=(_keep, lease, done), name="lease-keeper", daemon=True
    )
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()
        release(lease)


def bound_transactions(connection: BaseDatabaseWrapper, **signal: object) -> None:
    """A worker that freezes within a transaction holds its lock, and with it the lease, no longer than the lease lasts.

    SQLite has nothing of the kind: there the writers behind it wait until it is killed or wakes up.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # Not through a pooler, whose session is another client's next: there `renew` does it per transaction.
            cursor.execute(
                "SELECT set_config('idle_in_transaction_session_timeout', %s, false) WHERE pg_backend_pid() = %s",
                [_milliseconds(), connection.connection.info.backend_pid],
            )


def _keep(lease: Lease, done: threading.Event) -> None:
    try:
        while not done.wait(lease.purpose.duration.total_seconds() / 3):
            renew(lease)
    except (LostRace, DatabaseError) as error:
        # The work itself finds out at its next commit; nothing is decided here.
        log.warning("lease.not_renewed", connection_id=str(lease.connection_id), error=str(error))
    finally:
        connection.close()


def _held(lease: Lease) -> QuerySet[ERPConnection]:
    return ERPConnection.objects.filter(pk=lease.connection_id, **{f"{lease.purpose}_token": lease.token})


def _milliseconds() -> str:
    return str(int(_duration().total_seconds() * 1000))


def _duration() -> timedelta:
    return timedelta(seconds=settings.DELIVERY_LEASE_SECONDS)
