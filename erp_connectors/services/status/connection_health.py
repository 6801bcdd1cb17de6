"""The health of each connection, for the overview, with a fixed number of statements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum
from typing import Any
from uuid import UUID

from django.db.models import Count, Min, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from erp_connectors.circuit import began
from erp_connectors.dropzones import dropzone_of
from erp_connectors.fault_records import FaultRecord, cause_of, hint_of
from erp_connectors.faults import (
    CONNECTION_DISABLED,
    HOST_KEY_CHANGED,
    HOST_KEY_UNKNOWN,
    Fault,
    FaultKind,
)
from erp_connectors.models import ERPConnection, ERPExport, ERPExportQuerySet
from erp_connectors.services.connections.endpoint import place_of
from erp_connectors.services.connections.expiry_warnings import ExpiryWarning, expiry_warnings
from erp_connectors.services.connections.host_keys import lacks_host_key
from erp_connectors.services.connections.test_report import last_report
from erp_connectors.services.exports.receiving_connection import with_receives_orders
from erp_connectors.states import ConnectionStatus, ExportStatus
from orderflow.messages import text
from orderflow.tenancy.models import User


class State(IntEnum):
    """States of a connection, the worst first."""

    HOST_KEY_CHANGED = 0
    UNREADABLE = 1
    NO_HOST_KEY = 2
    HELD = 3
    DISABLED_WITH_WAITING = 4
    TEST_FAILED = 5
    RETRYING = 6
    ANSWERS_UNREAD = 7
    UNTESTED = 8
    OK = 9


@dataclass(frozen=True, slots=True)
class ConnectionProblem:
    """A problem and what to do, in the active language."""

    code: str
    cause: str
    hint: str

    @classmethod
    def of(cls, record: FaultRecord) -> "ConnectionProblem":
        """Make it of the record of a fault."""
        return cls(str(record.get("code") or ""), cause_of(record), hint_of(record))

    @classmethod
    def of_kind(cls, kind: FaultKind) -> "ConnectionProblem":
        return cls(kind.code, _(kind.meaning), _(kind.hint))

    @classmethod
    def of_fault(cls, fault: Fault) -> "ConnectionProblem":
        return cls(fault.code, text(fault.as_message()), _(fault.kind.hint))


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """``where`` is empty if the configuration can't be read. ``polled``: the connection has an ack folder.

    ``receives_orders``: if new orders are sent over it; None unless the org has several active connections.
    """

    connection: ERPConnection
    state: State
    where: str = ""
    polled: bool = False
    waiting: int = 0
    oldest: datetime | None = None
    overdue: int = 0
    problem: ConnectionProblem | None = None
    since: datetime | None = None
    expiry_warnings: Sequence[ExpiryWarning] = ()
    receives_orders: bool | None = None


@dataclass(frozen=True, slots=True)
class Queue:
    waiting: int
    oldest: datetime


def connections_health(user: User) -> list[Health]:
    """Return the health of each connection that is active or has waiting exports, the worst first."""
    return _all(ERPConnection.objects.visible_to(user), ERPExport.objects.visible_to(user))


def health_of_all() -> list[Health]:
    """Return the health of all connections, without regard to a user's org."""
    return _all(ERPConnection.objects.all(), ERPExport.objects.all())


def _all(connections: QuerySet[ERPConnection], exports: ERPExportQuerySet) -> list[Health]:
    waiting, overdue = _waiting(exports), _overdue(exports)
    rows: Any = with_receives_orders(connections.select_related("org"))
    found = [
        replace(
            _health(row, waiting.get(row.pk), overdue.get(row.pk, 0)), receives_orders=row.receives_orders
        )
        for row in rows
        if row.status == ConnectionStatus.ACTIVE or row.pk in waiting
    ]
    return sorted(found, key=lambda one: (one.state, one.connection.org.name, one.connection.created_at))


def _waiting(exports: ERPExportQuerySet) -> dict[UUID, Queue]:
    rows = exports.filter(status=ExportStatus.PENDING).order_by()
    counted = rows.values_list("connection").annotate(Count("pk"), Min("created_at"))
    return {connection: Queue(how_many, oldest) for connection, how_many, oldest in counted}


def _overdue(exports: ERPExportQuerySet) -> dict[UUID, int]:
    rows = exports.overdue().order_by()
    return dict(rows.values_list("connection").annotate(Count("pk")))


def _health(row: ERPConnection, queue: Queue | None, overdue: int) -> Health:
    counts: dict[str, Any] = {"overdue": overdue}
    if queue:
        counts |= {"waiting": queue.waiting, "oldest": queue.oldest}
    try:
        dropzone = dropzone_of(row)
        unpinned = lacks_host_key(row)
    except Fault as fault:
        told = ConnectionProblem.of_fault(fault)
        return Health(connection=row, state=State.UNREADABLE, problem=told, **counts)
    counts["expiry_warnings"] = expiry_warnings(row, today=timezone.now().date())
    counts |= {
        "where": place_of(dropzone),
        "polled": bool(dropzone.ack_path),
    }
    state, problem, since = _state(row, unpinned=unpinned)
    return Health(connection=row, state=state, problem=problem, since=since, **counts)


def _state(row: ERPConnection, *, unpinned: bool) -> tuple[State, ConnectionProblem | None, datetime | None]:
    if row.status == ConnectionStatus.DISABLED:
        # Of the disabled ones only those that exports wait for are looked at.
        return State.DISABLED_WITH_WAITING, ConnectionProblem.of_kind(CONNECTION_DISABLED), row.updated_at
    if unpinned:
        return State.NO_HOST_KEY, ConnectionProblem.of_kind(HOST_KEY_UNKNOWN), row.created_at
    if reason := _undecided(row):
        return State.HOST_KEY_CHANGED, ConnectionProblem.of(reason), _seen_since(row, reason)
    if row.circuit_open:
        return State.HELD, ConnectionProblem.of(row.circuit_reason or {}), row.circuit_opened_at
    return _working_state(row)


def _undecided(row: ERPConnection) -> Mapping[str, Any] | None:
    """Return the fault if the server showed another key since the connection was last changed."""
    reasons: list[Mapping[str, Any] | None] = [row.circuit_reason, row.poll_error]
    for reason in reasons:
        changed = reason and reason.get("code") == HOST_KEY_CHANGED.code
        if reason and changed and datetime.fromisoformat(reason["time"]) > row.updated_at:
            return reason
    return None


def _seen_since(row: ERPConnection, reason: Mapping[str, Any]) -> datetime:
    """Return when the circuit opened; without a circuit, when the polls began to fail by it."""
    opened = row.circuit_opened_at if reason is row.circuit_reason else None
    return opened or datetime.fromisoformat(began(reason))


def _working_state(row: ERPConnection) -> tuple[State, ConnectionProblem | None, datetime | None]:
    if row.last_test_success is False and not _worked_since_test(row):
        return State.TEST_FAILED, _failed_test(row), row.last_test_at
    if row.retry_at:
        return State.RETRYING, None, None
    if row.poll_error:
        since = datetime.fromisoformat(began(row.poll_error))
        return State.ANSWERS_UNREAD, ConnectionProblem.of(row.poll_error), since
    known_to_work = row.last_test_success or row.last_success_at
    return (State.OK if known_to_work else State.UNTESTED), None, None


def _worked_since_test(row: ERPConnection) -> bool:
    return bool(row.last_success_at and row.last_test_at and row.last_success_at > row.last_test_at)


def _failed_test(row: ERPConnection) -> ConnectionProblem | None:
    report = last_report(row)
    failed = report.failed if report else None
    return (
        ConnectionProblem(failed.code, text(failed.cause), _(failed.kind.hint) if failed.kind else "")
        if failed
        else None
    )
