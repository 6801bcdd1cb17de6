"""Which sent exports should have been answered by now.

A connection's deadline is its ``ack_timeout``, else what its own answers taught, else none: where nobody knows how long
an ERP takes, nothing is overdue.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from django.db.models import Exists, OuterRef, Q, QuerySet

from erp_connectors.faults import Fault
from erp_connectors.models import AckFile, ERPConnection, ERPExport
from erp_connectors.services.context import dropzone_of
from erp_connectors.states import AckFileStatus, ExportStatus

ENOUGH_ANSWERS = 20
LOOKED_AT = 200
SHORTEST = timedelta(minutes=15)
PATIENCE = 3


@dataclass(frozen=True, slots=True)
class Deadline:
    """How long a connection's ERP may take; ``learned`` from its answers, not configured."""

    after: timedelta
    learned: bool

    def __str__(self) -> str:
        seconds = round(self.after.total_seconds())
        length = f"{seconds} s" if seconds < 120 else f"{round(seconds / 60)} min"
        return f"{length}, {'learned from its answers' if self.learned else 'as configured'}"


def deadline(connection: ERPConnection) -> Deadline | None:
    """None: nobody knows, or nobody reads its answers."""
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
    """Those of ``exports`` that are. Two statements for each connection that has unanswered ones."""
    late = Q()
    for condition in _conditions(exports, now):
        late |= condition
    return exports.filter(late, status=ExportStatus.SENT) if late else exports.none()


def _conditions(exports: QuerySet[ERPExport], now: datetime) -> Iterator[Q]:
    unanswered = exports.order_by().filter(connection=OuterRef("pk"), status=ExportStatus.SENT)
    for connection in ERPConnection.objects.filter(Exists(unanswered.values("pk"))):
        allowed = deadline(connection)
        if allowed:
            yield Q(connection=connection.pk, sent_at__lt=now - allowed.after)


def _learned(connection: ERPConnection) -> Deadline | None:
    """Three times what 95 of 100 acceptances took at most; those told by hand teach nothing."""
    by_file = AckFile.objects.filter(export=OuterRef("pk"), status=AckFileStatus.APPLIED)
    answered = (
        ERPExport.objects.for_org(connection.org_id)
        .filter(status=ExportStatus.ACKED, created_at__gte=connection.created_at, connection=connection)
        .filter(Exists(by_file))
        .order_by("-created_at")
        .values_list("sent_at", "answered_at")[:LOOKED_AT]
    )
    took = sorted(max(end - start, timedelta()) for start, end in answered if start and end)
    if len(took) < ENOUGH_ANSWERS:
        return None
    return Deadline(max(PATIENCE * took[ceil(0.95 * len(took)) - 1], SHORTEST), learned=True)
