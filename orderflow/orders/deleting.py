"""Delete a draft order that was never approved."""

from uuid import UUID

from django.db import transaction

from orderflow.audit.models import Action, AuditLog
from orderflow.audit.services import Entry, record
from orderflow.messages import Message
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.models import User
from orderflow.transitions import IllegalMove

DELETABLE = frozenset({DraftStatus.NEW, DraftStatus.EXTRACTED, DraftStatus.NEEDS_REVIEW, DraftStatus.READY})


@transaction.atomic
def delete_draft(draft_id: UUID, *, actor: User) -> None:
    """Delete the order with its lines and, if no other order has it, its document.

    Raise `DraftOrder.DoesNotExist`, or `IllegalMove` if the order was ever approved: then it may have been sent.
    """
    draft = DraftOrder.objects.visible_to(actor).select_for_update(of=("self",)).get(pk=draft_id)
    if draft.status not in DELETABLE:
        raise IllegalMove(Message("order.not_deletable", order=str(draft), status=draft.status))
    if _was_approved(draft):
        raise IllegalMove(Message("order.approved_before", order=str(draft)))
    record(
        Entry(
            action=Action.DRAFT_DELETED,
            org_id=draft.org_id,
            entity_type="DraftOrder",
            entity_id=draft.pk,
            actor=actor,
            before=_summary(draft),
        )
    )
    document = draft.document
    draft.delete()
    if document is not None and not document.draft_orders.exists():
        document.delete()


def _was_approved(draft: DraftOrder) -> bool:
    approvals = AuditLog.objects.filter(
        entity_type="DraftOrder", entity_id=str(draft.pk), action=Action.DRAFT_APPROVED
    )
    return approvals.exists()


def _summary(draft: DraftOrder) -> dict[str, object]:
    return {
        "external_order_number": draft.external_order_number,
        "customer": str(draft.customer_id) if draft.customer_id else None,
        "order_date": draft.order_date.isoformat() if draft.order_date else None,
        "status": draft.status,
        "lines": draft.lines.count(),
    }
