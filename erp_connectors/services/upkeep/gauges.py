"""Current state for metrics, health checks and `doctor`, read with a few indexed statements."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
from django.db.models import CharField, Count, Min, Q
from django.db.models.functions import Cast

from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.states import ConnectionStatus, ExportStatus
from orderflow.heartbeat.models import Heartbeat
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus

# Thousands of keys as text: to make a UUID of each would take longer than all the rest.
_ID = Cast("pk", CharField())
_CONNECTION_ID = Cast("connection", CharField())


class ConnectionGauges(msgspec.Struct, frozen=True, kw_only=True):
    """Gauges of an active connection; ``oldest``: creation time of its oldest waiting export."""

    pk: str
    org: str
    circuit_open: bool
    poll_failures: int
    polled_at: datetime
    waiting: int = 0
    oldest: datetime | None = None
    unanswered: int = 0
    overdue: int = 0

    @property
    def is_failing(self) -> bool:
        return self.circuit_open or bool(self.poll_failures or self.overdue)


@dataclass(frozen=True, slots=True)
class Backlog:
    count: int
    oldest: datetime | None


def connections() -> list[ConnectionGauges]:
    """Three statements; one that was never polled counts from when it was made."""
    waiting, sent = _waiting(), _sent()
    rows = ERPConnection.objects.filter(status=ConnectionStatus.ACTIVE).order_by("created_at", "pk")
    wanted = (_ID, "org__slug", "circuit_opened_at", "poll_failures_in_row", "last_poll_at", "created_at")
    found = []
    for pk, org, opened_at, failures, polled_at, created_at in rows.values_list(*wanted):
        how_many, oldest = waiting.get(pk, (0, None))
        unanswered, overdue = sent.get(pk, (0, 0))
        found.append(
            ConnectionGauges(
                pk=_dashed(pk),
                org=org,
                circuit_open=opened_at is not None,
                poll_failures=failures,
                polled_at=polled_at or created_at,
                waiting=how_many,
                oldest=oldest,
                unanswered=unanswered,
                overdue=overdue,
            )
        )
    return found


def archive_backlog() -> Backlog:
    """Copies that an outage of the archive left in their rows."""
    waiting = ERPExport.objects.filter(payload__isnull=False).order_by()
    found = waiting.aggregate(count=Count("pk"), oldest=Min("created_at"))
    return Backlog(**found)


def orders_in_error() -> int:
    """Return the number of orders in ERROR."""
    return DraftOrder.objects.filter(status=DraftStatus.ERROR).count()


def heartbeats() -> Sequence[datetime]:
    """Return the time of the last heartbeat of each cluster of workers, the latest first."""
    return list(Heartbeat.objects.order_by("-beat_at").values_list("beat_at", flat=True))


def _dashed(pk: str) -> str:
    """SQLite keeps them without dashes."""
    return pk if "-" in pk else f"{pk[:8]}-{pk[8:12]}-{pk[12:16]}-{pk[16:20]}-{pk[20:]}"


def _waiting() -> dict[str, tuple[int, datetime]]:
    rows = ERPExport.objects.filter(status=ExportStatus.PENDING).order_by().values_list(_CONNECTION_ID)
    return {pk: (how_many, oldest) for pk, how_many, oldest in rows.annotate(Count("pk"), Min("created_at"))}


def _sent() -> dict[str, tuple[int, int]]:
    rows = ERPExport.objects.filter(status=ExportStatus.SENT).order_by().values_list(_CONNECTION_ID)
    late = Count("pk", filter=Q(overdue_at__isnull=False))
    counted = rows.annotate(how_many=Count("pk"), late=late)
    return {pk: (how_many, overdue) for pk, how_many, overdue in counted}
