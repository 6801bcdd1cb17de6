"""Let an operator dismiss an alert that no retry or ack can resolve, with a note. No status changes."""

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from erp_connectors.models import AckFile, ERPExport, add_events
from erp_connectors.services.acks.apply import DISMISSED, close_conflict
from erp_connectors.services.acks.decide import replaced_among
from erp_connectors.states import AckFileStatus, FailedAs, Stage
from orderflow.audit import services as audit
from orderflow.audit.models import Action
from orderflow.messages import Message, Refusal, foreign
from orderflow.tenancy.models import User

UNANSWERABLE = (AckFileStatus.MALFORMED, AckFileStatus.UNMATCHED)


class NothingToDismiss(Refusal):
    """The alert was dismissed before, or it needs no dismissal. Nothing was changed."""


def can_dismiss_export(export: ERPExport) -> bool:
    """Return True if the export was replaced and has an answer, so that a manual answer would decide nothing."""
    # If the outcome is unknown, that answer is the proof which keeps the order from being sent twice.
    if not export.conflict_json or export.failed_as == FailedAs.UNKNOWN:
        return False
    return bool(replaced_among([export]))


def can_dismiss_ack(ack: AckFile) -> bool:
    """Return True if the file is unreadable, matches no export or can't be moved, or its export has no conflict."""
    if ack.dismissed_at is not None:
        return False
    if ack.status == AckFileStatus.CONFLICT:
        return ack.export is None or not ack.export.conflict_json
    return ack.stays or ack.status in UNANSWERABLE


@transaction.atomic
def dismiss_export(export_id: UUID, *, actor: User, note: str) -> ERPExport:
    """Dismiss the alert about an answer to a replaced export.

    Raises `NothingToDismiss`, `ERPExport.DoesNotExist` (also for another org's export).
    """
    visible = ERPExport.objects.visible_to(actor).select_related("draft_order").defer("payload")
    export: ERPExport = visible.select_for_update(of=("self",)).get(pk=export_id)
    if not can_dismiss_export(export):
        raise NothingToDismiss(Message("dismiss.export_has_no_alert"))
    _record(export, actor, before={"conflict": export.conflict_json}, note=note)
    close_conflict(export)
    message = foreign(note)
    add_events([export], stage=Stage.ACK, what=DISMISSED, message=message, actor=actor, at=timezone.now())
    return export


@transaction.atomic
def dismiss_ack(ack_id: int, *, actor: User, note: str) -> AckFile:
    """Dismiss the alert about an ack file.

    Raises `NothingToDismiss`, `AckFile.DoesNotExist` (also for another org's file).
    """
    ack: AckFile = AckFile.objects.visible_to(actor).select_for_update(of=("self",)).get(pk=ack_id)
    if not can_dismiss_ack(ack):
        raise NothingToDismiss(Message("dismiss.ack_has_no_alert"))
    ack.dismissed_at = timezone.now()
    ack.save(update_fields=["dismissed_at"])
    reason = ack.reason.as_json() if ack.reason else None
    _record(ack, actor, before={"name": ack.name, "status": ack.status, "reason": reason}, note=note)
    return ack


def _record(row: ERPExport | AckFile, actor: User, *, before: dict[str, object], note: str) -> None:
    audit.record(
        audit.Entry(
            action=Action.DISMISSED,
            org_id=row.org_id,
            actor=actor,
            entity_type=type(row).__name__,
            entity_id=str(row.pk),
            before=before,
            after={"note": note},
        )
    )
