"""What is due, read from rows: the answer to every wake-up that was lost."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from erp_connectors import archive
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.states import ConnectionStatus, ExportStatus

# What a broker holds longer than this is taken for lost.
WAKE_UP_LOST = timedelta(minutes=15)


def due_deliveries(now: datetime) -> list[UUID]:
    """Active connections with an export to send that nobody is sending."""
    due = ERPExport.objects.filter(connection=OuterRef("pk"), status=ExportStatus.PENDING).filter(
        Q(next_attempt_at=None) | Q(next_attempt_at__lte=now)
    )
    return list(
        ERPConnection.objects.filter(status=ConnectionStatus.ACTIVE)
        .filter(Q(retry_at=None) | Q(retry_at__lte=now))
        .filter(Q(delivery_lease_token="") | Q(delivery_lease_until__lt=now))
        .filter(Exists(due))
        .values_list("pk", flat=True)
    )


def due_polls(now: datetime) -> list[UUID]:
    """Active connections whose ack folder was not looked at for a poll interval; first those that answered last time.

    Not those that are asked for already and wait for a worker, nor those that failed and are given time.
    """
    before = now - timedelta(seconds=settings.ACK_POLL_INTERVAL_SECONDS)
    waiting = Q(poll_asked_at__gt=now - WAKE_UP_LOST) & (
        Q(last_poll_at=None) | Q(last_poll_at__lt=F("poll_asked_at"))
    )
    return list(
        ERPConnection.objects.filter(status=ConnectionStatus.ACTIVE)
        .filter(Q(last_poll_at=None) | Q(last_poll_at__lte=before))
        .filter(Q(poll_lease_token="") | Q(poll_lease_until__lt=now))
        .filter(Q(poll_retry_at=None) | Q(poll_retry_at__lte=now))
        .exclude(waiting)
        .order_by("poll_failures_in_row", F("last_poll_at").asc(nulls_first=True))
        .values_list("pk", flat=True)
    )


def asked_to_poll(connections: Sequence[UUID], now: datetime) -> None:
    ERPConnection.objects.filter(pk__in=connections).update(poll_asked_at=now)


def archive_backlog(limit: int = 100) -> int:
    """Store copies that an outage of the archive left in their rows; returns how many are safe now."""
    waiting = list(ERPExport.objects.filter(payload__isnull=False).order_by("created_at")[:limit])
    outcomes = archive.put_all(
        [archive.Copy(row.export_storage_key, bytes(row.payload or b"")) for row in waiting]
    )
    safe = [row.pk for row, error in zip(waiting, outcomes, strict=True) if error is None]
    return ERPExport.objects.filter(pk__in=safe).update(payload=None, archived_at=timezone.now())
