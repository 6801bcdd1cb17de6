"""Leases: one worker at a time works on a row, across transactions. A token and an expiry in the row.

`take` is a conditional UPDATE. The holder proves its lease in each transaction that matters, with `renew`. Times are
the database's, so hosts with wrong clocks neither hold a lease for hours nor take one too early. A lease that ran out
early (a frozen worker) costs time, never correctness.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from secrets import token_hex
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, Func, Model, Q, QuerySet, Value
from django.db.models.functions import Now

from erp_connectors import counters
from erp_connectors.models import ERPConnection
from orderflow.messages import Message
from orderflow.transitions import LostRace

log = structlog.get_logger(__name__)


class LeasePurpose(StrEnum):
    DELIVERY = "delivery"
    POLL = "poll"
    NOTIFICATION = "notification"
    RETENTION = "retention"


@dataclass(frozen=True, slots=True)
class LeaseKind:
    """The leases of one purpose: columns ``{columns}_token`` and ``{columns}_until`` of a model, and their duration."""

    purpose: LeasePurpose
    model: type[Model]
    columns: str
    duration: Callable[[], timedelta]

    def free(self, now: datetime | Now, *, path: str = "") -> Q:
        """Match rows that no worker holds at ``now``. ``path`` leads to the model from another, with ``__``."""
        token, until = f"{path}{self.columns}_token", f"{path}{self.columns}_until"
        return Q(**{token: ""}) | Q(**{f"{until}__lt": now})


@dataclass(slots=True)
class LastRenewal:
    """When the last committed renewal began, in seconds since the epoch: the lease lasts for its duration from then."""

    began: float = 0.0


@dataclass(frozen=True, slots=True)
class Lease:
    kind: LeaseKind
    row_id: UUID
    token: str
    took_over: bool = False
    last_renewal: LastRenewal = field(default_factory=LastRenewal, compare=False, repr=False)

    @property
    def lasts_until(self) -> float:
        """Return a time (of this host's clock) before which no other worker takes the lease."""
        return self.last_renewal.began + self.kind.duration().total_seconds()


def _of_delivery() -> timedelta:
    return timedelta(seconds=settings.DELIVERY_LEASE_SECONDS)


def _of_poll() -> timedelta:
    """Return the shorter of lease time and poll interval, so that a killed worker delays its connection by one poll."""
    return min(_of_delivery(), timedelta(seconds=max(settings.ACK_POLL_INTERVAL_SECONDS, 15)))


DELIVERY = LeaseKind(LeasePurpose.DELIVERY, ERPConnection, "delivery_lease", _of_delivery)
POLL = LeaseKind(LeasePurpose.POLL, ERPConnection, "poll_lease", _of_poll)


def take(row_id: UUID, kind: LeaseKind, *, only_if: Q | None = None) -> Lease | None:
    """Take the lease. Return None if another worker holds it, or the row does not match ``only_if``."""
    token, renewal = token_hex(16), LastRenewal(time.time())
    row = _rows(kind).filter(only_if or Q(), pk=row_id)
    values = {f"{kind.columns}_token": token, f"{kind.columns}_until": Now() + kind.duration()}
    if row.filter(**{f"{kind.columns}_token": ""}).update(**values):
        return Lease(kind, row_id, token, last_renewal=renewal)
    with transaction.atomic():
        if row.filter(**{f"{kind.columns}_until__lt": Now()}).update(**values):
            counters.count(counters.Name.TAKEOVERS, kind.purpose)
            log.warning("lease.taken_over", row_id=str(row_id), purpose=kind.purpose)
            return Lease(kind, row_id, token, took_over=True, last_renewal=renewal)
    return None


def renew(lease: Lease) -> None:
    """Extend the lease. Raise `LostRace` if another worker holds it now. A transaction makes other takers wait."""
    rows = held(lease)
    if connection.vendor == "postgresql":
        rows = rows.filter(_bound_transaction())
    if not rows.update(**{f"{lease.kind.columns}_until": Now() + lease.kind.duration()}):
        raise LostRace(Message("lease.lost", purpose=str(lease.kind.purpose), row=str(lease.row_id)))


def release(lease: Lease) -> None:
    held(lease).update(**{f"{lease.kind.columns}_token": "", f"{lease.kind.columns}_until": None})


def held(lease: Lease) -> QuerySet[Any]:
    """Match the row if it has this lease."""
    return _rows(lease.kind).filter(**{"pk": lease.row_id, f"{lease.kind.columns}_token": lease.token})


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
    """Limit idle transactions to the duration of a lease, so that a frozen worker does not keep its row locks longer.

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
        while not done.wait(lease.kind.duration().total_seconds() / 3):
            began = time.time()
            renew(lease)
            # Only here: a renewal within a transaction counts once that is committed.
            lease.last_renewal.began = began
    except (LostRace, DatabaseError) as error:
        # The work itself finds out at its next commit; nothing is decided here.
        log.warning(
            "lease.not_renewed", row_id=str(lease.row_id), purpose=lease.kind.purpose, error=str(error)
        )
    finally:
        connection.close()


def _rows(kind: LeaseKind) -> QuerySet[Any]:
    return kind.model._default_manager.all()


def _milliseconds() -> str:
    return str(int(_of_delivery().total_seconds() * 1000))
