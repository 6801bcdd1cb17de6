"""Which sent exports should have been answered by now.

A connection's deadline is its ``ack_timeout``, else the time that its ERP usually takes. Without enough answers to
learn that, it has none, and nothing is overdue.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from erp_connectors.dropzones import dropzone_of
from erp_connectors.faults import Fault
from erp_connectors.models import AckFile, ERPConnection, ERPExport, ERPExportEvent, add_events
from erp_connectors.outbox.events import Event
from erp_connectors.outbox.record import note_exports
from erp_connectors.states import AckFileStatus, ExportStatus, Stage
from orderflow.messages import Message

OVERDUE = "overdue"
MEANING = "The ERP has not answered in time."
HINT = "Ask the ERP team whether it has the order; then record the answer on the export's page."
HINT_ON_PAGE = "Ask the ERP team whether it has the order; then record the answer here."
MAX_MARKED = 5000
MIN_ANSWERS = 20
MAX_ANSWERS = 200
SHORTEST = timedelta(minutes=15)
SAFETY_FACTOR = 3

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Deadline:
    """How long a connection's ERP may take; ``learned`` from its answers, not configured."""

    after: timedelta
    learned: bool

    def __str__(self) -> str:
        return f"{self.length}, {'learned from its answers' if self.learned else 'as configured'}"

    def message(self) -> Message:
        """Return the event of an export that was not answered within this time."""
        code = "event.no_answer_learned" if self.learned else "event.no_answer_configured"
        return Message(code, seconds=round(self.after.total_seconds()))

    @property
    def length(self) -> str:
        seconds = round(self.after.total_seconds())
        return f"{seconds} s" if seconds < 120 else f"{round(seconds / 60)} min"


def deadline(connection: ERPConnection) -> Deadline | None:
    """Return the deadline; None if no answers are read, or too few are known."""
    try:
        dropzone = dropzone_of(connection)
    except Fault:
        # The connection's own page says what is wrong with it.
        return None
    if not dropzone.ack_path:
        return None
    if dropzone.ack_timeout:
        return Deadline(dropzone.ack_timeout, learned=False)
    return _learned(connection)


def overdue(exports: QuerySet[ERPExport], *, now: datetime) -> QuerySet[ERPExport]:
    """Return the overdue exports, with two statements for each connection that has unanswered ones."""
    late = Q()
    for condition in _conditions(exports, now):
        late |= condition
    return exports.filter(late, status=ExportStatus.SENT) if late else exports.none()


def mark_overdue(now: datetime) -> int:
    """Mark exports that are overdue, and report each once; unmark those that are not any more. Return how many are new.

    Lists, metrics and pages read the mark, so that they need not compute every connection's deadline.
    """
    return sum(_mark_overdue_of(connection, now) for connection in _with_unanswered(ERPExport.objects.all()))


@transaction.atomic
def _mark_overdue_of(connection: ERPConnection, now: datetime) -> int:
    allowed = deadline(connection)
    unanswered = ERPExport.objects.filter(connection=connection, status=ExportStatus.SENT)
    late = unanswered.filter(sent_at__lt=now - allowed.after) if allowed else unanswered.none()
    unanswered.overdue().exclude(pk__in=late.values("pk")).update(overdue_at=None)
    # Locked, so that only one of two sweeps at once reports it.
    unmarked = late.filter(overdue_at=None).select_for_update()
    new = list(unmarked.only("pk", "attempts", "org", "connection")[:MAX_MARKED])
    if new and allowed:
        ERPExport.objects.filter(pk__in=[export.pk for export in new]).update(overdue_at=now)
        _report_once(connection, new, allowed, now)
    return len(new)


def _report_once(
    connection: ERPConnection, exports: list[ERPExport], allowed: Deadline, now: datetime
) -> None:
    reported = set(
        ERPExportEvent.objects.filter(export__in=exports, what=OVERDUE).values_list("export", flat=True)
    )
    fresh = [export for export in exports if export.pk not in reported]
    add_events(fresh, stage=Stage.ACK, what=OVERDUE, message=allowed.message(), at=now)
    note_exports(Event.EXPORT_OVERDUE, fresh, at=now)
    if fresh:
        log.warning(
            "exports.overdue",
            connection_id=str(connection.pk),
            org_id=str(connection.org_id),
            exports=len(fresh),
            deadline=str(allowed),
        )


def _with_unanswered(exports: QuerySet[ERPExport]) -> QuerySet[ERPConnection]:
    unanswered = exports.order_by().filter(connection=OuterRef("pk"), status=ExportStatus.SENT)
    return ERPConnection.objects.filter(Exists(unanswered.values("pk"))).select_related("org")


def _conditions(exports: QuerySet[ERPExport], now: datetime) -> Iterator[Q]:
    for connection in _with_unanswered(exports):
        allowed = deadline(connection)
        if allowed:
            yield Q(connection=connection.pk, sent_at__lt=now - allowed.after)


def _learned(connection: ERPConnection) -> Deadline | None:
    """Return three times the 95th percentile of the last acceptances by ack file."""
    by_file = AckFile.objects.filter(export=OuterRef("pk"), status=AckFileStatus.APPLIED)
    answered = (
        ERPExport.objects.for_org(connection.org_id)
        .filter(status=ExportStatus.ACKED, created_at__gte=connection.created_at, connection=connection)
        .filter(Exists(by_file))
        .order_by("-created_at")
        .values_list("sent_at", "answered_at")[:MAX_ANSWERS]
    )
    took = sorted(max(end - start, timedelta()) for start, end in answered if start and end)
    if len(took) < MIN_ANSWERS:
        return None
    return Deadline(max(SAFETY_FACTOR * took[ceil(0.95 * len(took)) - 1], SHORTEST), learned=True)
