"""What is due, read from rows: the answer to every wake-up that was lost."""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from erp_connectors import archive
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.states import ConnectionStatus, ExportStatus


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
    """Active connections whose ack folder was not looked at for a poll interval."""
    before = now - timedelta(seconds=settings.ACK_POLL_INTERVAL_SECONDS)
    return list(
        ERPConnection.objects.filter(status=ConnectionStatus.ACTIVE)
        .filter(Q(last_poll_at=None) | Q(last_poll_at__lte=before))
        .filter(Q(poll_lease_token="") | Q(poll_lease_until__lt=now))
        .values_list("pk", flat=True)
    )


def archive_backlog(limit: int = 100) -> int:
    """Store copies that an outage of the archive left in their rows; returns how many are safe now."""
    waiting = list(ERPExport.objects.filter(payload__isnull=False).order_by("created_at")[:limit])
    outcomes = archive.put_all(
        [archive.Copy(row.export_storage_key, bytes(row.payload or b"")) for row in waiting]
    )
    safe = [row.pk for row, error in zip(waiting, outcomes, strict=True) if error is None]
    return ERPExport.objects.filter(pk__in=safe).update(payload=None, archived_at=timezone.now())
