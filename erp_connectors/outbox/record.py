"""Record a change for its subscriptions, in the transaction that makes the change."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.outbox.events import OF_A_CIRCUIT, Event
from erp_connectors.outbox.models import PendingEvent, Subscription


def note_exports(event: Event, exports: Iterable[ERPExport], *, at: datetime) -> None:
    """Record events of exports: one statement for each connection, one more if it has subscriptions."""
    by_connection: dict[tuple[UUID, UUID], list[ERPExport]] = {}
    for export in exports:
        by_connection.setdefault((export.org_id, export.connection_id), []).append(export)
    for (org_id, connection_id), mine in by_connection.items():
        PendingEvent.objects.bulk_create(
            [
                PendingEvent(subscription=one, event=event, connection_id=connection_id, export=export, at=at)
                for one in _listening(org_id, connection_id)
                if one.wants(event)
                for export in mine
            ],
            batch_size=1000,
        )


def note_circuit(event: Event, connection: ERPConnection, *, at: datetime) -> None:
    # A subscriber to one of the two events needs both: the last report decides what is sent.
    PendingEvent.objects.bulk_create(
        PendingEvent(subscription=one, event=event, connection=connection, at=at)
        for one in _listening(connection.org_id, connection.pk)
        if any(map(one.wants, OF_A_CIRCUIT))
    )


def _listening(org_id: UUID, connection_id: UUID) -> list[Subscription]:
    mine = Q(connection=None) | Q(connection=connection_id)
    return list(Subscription.objects.for_org(org_id).listening().filter(mine).only("events", "org"))
