"""What nothing but a person's word can settle: marked as handled, with a note, so that it asks for nobody any more.

No status changes. Only for what no recorded answer and no retry can settle.
"""

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from erp_connectors.models import AckFile, ERPExport, add_events
from erp_connectors.services.acks.apply import HANDLED, conflict_seen_to
from erp_connectors.services.acks.decide import replaced_among
from erp_connectors.states import AckFileStatus, FailedAs, Stage
from orderflow.audit import services as audit
from orderflow.audit.models import Action
from orderflow.tenancy.models import User

UNANSWERABLE = (AckFileStatus.MALFORMED, AckFileStatus.UNMATCHED)


class NothingToHandle(Exception):
    """Nothing was changed; the text says why."""


def export_wants_handling(export: ERPExport) -> bool:
    """An answer to an export that counts no more, where recording an answer by hand would decide nothing."""
    # Where the outcome is unknown, that answer is the proof which keeps the order from being sent twice.
    if not export.conflict_json or export.failed_as == FailedAs.UNKNOWN:
        return False
    return bool(replaced_among([export]))


def ack_wants_handling(ack: AckFile) -> bool:
    """Not understood, matching nothing, or not to be moved; a contradiction only once its export has none."""
    if ack.handled_at is not None:
        return False
    if ack.status == AckFileStatus.CONFLICT:
        return ack.export is None or not ack.export.conflict_json
    return ack.stays or ack.status in UNANSWERABLE


@transaction.atomic
def mark_export_handled(export_id: UUID, *, actor: User, note: str) -> ERPExport:
    """Raises `NothingToHandle`, `ERPExport.DoesNotExist` (also for another org's export)."""
    visible = ERPExport.objects.visible_to(actor).select_related("draft_order").defer("payload")
    export: ERPExport = visible.select_for_update(of=("self",)).get(pk=export_id)
    if not export_wants_handling(export):
        raise NothingToHandle("There is no answer to this export that a person has to see to.")
    _record(export, actor, before={"conflict": export.conflict_json}, note=note)
    conflict_seen_to(export)
    add_events([export], stage=Stage.ACK, what=HANDLED, detail=f"{actor.email}: {note}", at=timezone.now())
    return export


@transaction.atomic
def mark_ack_handled(ack_id: int, *, actor: User, note: str) -> AckFile:
    """Raises `NothingToHandle`, `AckFile.DoesNotExist` (also for another org's file)."""
    ack: AckFile = AckFile.objects.visible_to(actor).select_for_update(of=("self",)).get(pk=ack_id)
    if not ack_wants_handling(ack):
        raise NothingToHandle("This ack file asks for nobody.")
    ack.handled_at = timezone.now()
    ack.save(update_fields=["handled_at"])
    _record(ack, actor, before={"name": ack.name, "status": ack.status, "reason": ack.reason}, note=note)
    return ack


def _record(row: ERPExport | AckFile, actor: User, *, before: dict[str, object], note: str) -> None:
    audit.record(
        audit.Entry(
            action=Action.MARKED_HANDLED,
            org_id=row.org_id,
            actor=actor,
            entity_type=type(row).__name__,
            entity_id=str(row.pk),
            before=before,
            after={"note": note},
        )
    )
