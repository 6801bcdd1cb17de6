"""Find due work in the rows, in case a wake-up was lost."""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from erp_connectors import archive, leases
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.states import ConnectionStatus, ExportStatus
from orderflow import clock


def due_deliveries(now: datetime) -> list[UUID]:
    """Return the active connections that have a due export and no delivery lease."""
    due = ERPExport.objects.filter(connection=OuterRef("pk"), status=ExportStatus.PENDING).filter(
        Q(next_attempt_at=None) | Q(next_attempt_at__lte=now)
    )
    return list(
        ERPConnection.objects.filter(status=ConnectionStatus.ACTIVE)
        .filter(Q(retry_at=None) | Q(retry_at__lte=now))
        .filter(leases.DELIVERY.free(now))
        .filter(Exists(due))
        .values_list("pk", flat=True)
    )


def due_polls(now: datetime) -> list[UUID]:
    """Return the active connections whose ack folder is due; first those that answered last time.

    A connection stays due until a poll has taken its lease, whoever was woken for it: a wake-up that a killed worker
    took along costs no more than the time to the next look.
    """
    due = _due_polls(now).order_by("poll_failures_in_row", F("last_poll_at").asc(nulls_first=True))
    return list(due.values_list("pk", flat=True))


def poll_is_due(connection_id: UUID, now: datetime) -> bool:
    """Return False for the second of two wake-ups: the first one's poll is under way or done."""
    return _due_polls(now).filter(pk=connection_id).exists()


def _due_polls(now: datetime) -> QuerySet[ERPConnection]:
    before = now - timedelta(seconds=settings.ACK_POLL_INTERVAL_SECONDS)
    return (
        ERPConnection.objects.filter(status=ConnectionStatus.ACTIVE)
        .filter(Q(last_poll_at=None) | Q(last_poll_at__lte=before))
        .filter(leases.POLL.free(now))
        .filter(Q(poll_retry_at=None) | Q(poll_retry_at__lte=now))
    )


def archive_backlog(limit: int = 100) -> int:
    """Store copies that an outage of the archive left in their rows. Return how many were stored."""
    waiting = list(ERPExport.objects.filter(payload__isnull=False).order_by("created_at")[:limit])
    outcomes = archive.put_all(
        [archive.Copy(row.export_storage_key, bytes(row.payload or b"")) for row in waiting]
    )
    safe = [row.pk for row, error in zip(waiting, outcomes, strict=True) if error is None]
    return ERPExport.objects.filter(pk__in=safe).update(payload=None, archived_at=clock.now())
