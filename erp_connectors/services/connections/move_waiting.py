"""Show why exports wait, and move those of a disabled connection to the active one."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from erp_connectors import leases
from erp_connectors.leases import Lease
from erp_connectors.models import ERPConnection, ERPExport, add_events
from erp_connectors.services.connections.manage import ConnectionConflict
from erp_connectors.services.exports.export_log import log_all
from erp_connectors.states import ConnectionStatus, ExportStatus, Stage
from orderflow import jobs
from orderflow.audit import services as audit
from orderflow.audit.models import Action
from orderflow.messages import Message
from orderflow.tenancy.models import User

# The event of an export that was moved.
MOVED = "moved"
AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class MovedExports:
    """``staged``: exports that stay, because a file of them was written where the disabled connection leads."""

    target: ERPConnection
    moved: int
    staged: int


def move_waiting_exports(connection_id: UUID, *, actor: User) -> MovedExports:
    """Move a disabled connection's exports of which nothing was staged to the active connection of the same type.

    The disabled connection's delivery lease is held meanwhile. So a worker that has claimed such an export, and wakes
    up later, cannot commit STAGED, without which it may not publish.

    Raises `ConnectionConflict`, `ERPConnection.DoesNotExist` (also for another org's connection).
    """
    source = ERPConnection.objects.visible_to(actor).defer("config").get(pk=connection_id)
    if source.status == ConnectionStatus.ACTIVE:
        raise ConnectionConflict(Message("connection.active"))
    lease = leases.take(source.pk, leases.DELIVERY)
    if lease is None:
        raise ConnectionConflict(Message("connection.in_use"))
    try:
        return _move(lease, source, actor)
    finally:
        leases.release(lease)


@transaction.atomic
def _move(lease: Lease, source: ERPConnection, actor: User) -> MovedExports:
    leases.renew(lease)
    target = _target(source)
    waiting = ERPExport.objects.filter(connection=source, status=ExportStatus.PENDING)
    movable = list(
        waiting.filter(staged_at=None).select_for_update(of=("self",)).defer("payload").order_by("pk")
    )
    # An outage of days may leave more than PostgreSQL takes values in one statement.
    for start in range(0, len(movable), AT_ONCE):
        page = [export.pk for export in movable[start : start + AT_ONCE]]
        ERPExport.objects.filter(pk__in=page).update(
            connection=target,
            next_attempt_at=None,
            error_json=None,
            failed_tries=0,
            updated_at=timezone.now(),
        )
    _record(movable, source, target, actor)
    if movable:
        jobs.wake(jobs.Task.DELIVER, str(target.pk))
    return MovedExports(target, len(movable), waiting.count())


def _target(source: ERPConnection) -> ERPConnection:
    active = ERPConnection.objects.filter(
        org=source.org_id, connector_type=source.connector_type, status=ConnectionStatus.ACTIVE
    )
    # Locked, so that it is not disabled before the exports are there.
    target = active.select_for_update(of=("self",)).defer("config").first()
    if target is None:
        raise ConnectionConflict(Message("connection.no_other_active"))
    return target


def _record(exports: Sequence[ERPExport], source: ERPConnection, target: ERPConnection, actor: User) -> None:
    message = Message("event.moved", source=str(source), target=str(target))
    add_events(exports, stage=Stage.QUEUED, what=MOVED, message=message, actor=actor, at=timezone.now())
    audit.record_many(
        audit.Entry(
            action=Action.EXPORT_MOVED,
            org_id=export.org_id,
            actor=actor,
            entity_type="ERPExport",
            entity_id=export.pk,
            before={"connection_id": str(source.pk)},
            after={"connection_id": str(target.pk)},
        )
        for export in exports
    )
    log_all("export.moved", exports, moved_from=str(source.pk), moved_to=str(target.pk))
