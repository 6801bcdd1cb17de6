"""Back-off and circuit of a connection, kept in its row: time of the next try, and the reason for waiting."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F

from erp_connectors import counters
from erp_connectors.models import ERPConnection
from erp_connectors.outbox.events import Event
from erp_connectors.outbox.record import note_circuit
from orderflow.backoff import backoff, with_jitter

LONGEST_POLL_PAUSE = timedelta(minutes=15)


def delivery_pause(failures: int) -> timedelta:
    first = timedelta(seconds=settings.DELIVERY_RETRY_BASE_SECONDS)
    longest = timedelta(seconds=settings.DELIVERY_RETRY_MAX_SECONDS)
    return with_jitter(backoff(failures, first=first, longest=longest))


def poll_pause(failures: int) -> timedelta:
    """Return the pause after so many failed polls in a row; after the first it is the usual interval."""
    first = timedelta(seconds=settings.ACK_POLL_INTERVAL_SECONDS)
    return backoff(failures, first=first, longest=LONGEST_POLL_PAUSE)


def success(connection_id: UUID, *, now: datetime) -> bool:
    """Record that the ERP works; its queue is no longer held. Return True if a circuit was closed."""
    row = ERPConnection.objects.filter(pk=connection_id)
    held = row.exclude(circuit_opened_at=None).only("org").first()
    closed = held is not None and _close(held, now)
    row.update(failures_in_row=0, retry_at=None, poll_retry_at=None, last_success_at=now)
    return closed


def polled(
    connection: ERPConnection,
    reason: dict[str, Any] | None,
    *,
    failed: bool,
    now: datetime,
    misnamed: dict[str, Any] | None = None,
) -> None:
    """Record a poll of the ack folder. ``misnamed`` None: the folder was not listed to its end.

    From the second failure in a row the pauses grow: a server that hangs must not keep workers from others.
    """
    changed = misnamed is not None and misnamed != connection.misnamed_answers
    failures = connection.poll_failures_in_row + 1 if failed else 0
    ERPConnection.objects.filter(pk=connection.pk).update(
        last_poll_at=now,
        poll_error=_with_first_time(reason, connection.poll_error) if reason else None,
        poll_failures_in_row=failures,
        poll_retry_at=now + poll_pause(failures) if failed else None,
        **({"misnamed_answers": misnamed} if changed else {}),
    )


def _with_first_time(reason: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
    """Add ``since`` to the reason: the time of the first poll of the current row of polls that failed with its code."""
    repeated = before is not None and before["code"] == reason["code"]
    return {**reason, "since": began(before) if before and repeated else reason["time"]}


def began(reason: Mapping[str, Any]) -> str:
    """Return when it began, in ISO 8601. A circuit's reason has only the time of the last failure."""
    return str(reason.get("since", reason["time"]))


def record_failure(connection: ERPConnection, *, now: datetime) -> datetime:
    """Record a failed try: the pause grows each time. Return the time of the next try."""
    retry_at = now + delivery_pause(connection.failures_in_row + 1)
    ERPConnection.objects.filter(pk=connection.pk).update(
        failures_in_row=F("failures_in_row") + 1, retry_at=retry_at
    )
    return retry_at


def open_circuit(connection: ERPConnection, reason: dict[str, Any], *, now: datetime) -> None:
    """Hold the queue until a probe or a user's test succeeds; ``reason`` is shown to users."""
    record_failure(connection, now=now)
    row = ERPConnection.objects.filter(pk=connection.pk)
    with transaction.atomic():
        row.update(circuit_reason=reason)
        if row.filter(circuit_opened_at=None).update(circuit_opened_at=now):
            counters.count(counters.Name.CIRCUITS, reason["code"])
            note_circuit(Event.CIRCUIT_OPENED, connection, at=now)


@transaction.atomic
def _close(held: ERPConnection, now: datetime) -> bool:
    row = ERPConnection.objects.filter(pk=held.pk).exclude(circuit_opened_at=None)
    closed = bool(row.update(circuit_opened_at=None, circuit_reason=None))
    if closed:
        note_circuit(Event.CIRCUIT_CLOSED, held, at=now)
    return closed
