"""The two ways out of review: complete, or not to be delivered at all; and the way back into it."""

from uuid import UUID

from django.db import transaction

from orderflow.messages import Message
from orderflow.orders import transitions
from orderflow.orders.approval import require_ready
from orderflow.orders.editing import back_to_review
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.models import User
from orderflow.transitions import IllegalMove


@transaction.atomic
def mark_ready(draft_id: UUID, *, actor: User) -> DraftOrder:
    """EXTRACTED or NEEDS_REVIEW -> READY. Raises `DraftOrder.DoesNotExist`, `IllegalMove`, `NotReady`."""
    draft = _locked(draft_id, actor)
    if draft.status not in (DraftStatus.EXTRACTED, DraftStatus.NEEDS_REVIEW):
        raise IllegalMove(Message("order.mark_ready_needs_review", order=str(draft), status=draft.status))
    require_ready(draft)
    return transitions.move(draft, DraftStatus.READY)


@transaction.atomic
def reject(draft_id: UUID, *, actor: User) -> DraftOrder:
    """NEEDS_REVIEW -> REJECTED, for good. Raises `DraftOrder.DoesNotExist`, `IllegalMove`."""
    draft = _locked(draft_id, actor)
    if draft.status != DraftStatus.NEEDS_REVIEW:
        raise IllegalMove(Message("order.reject_needs_review", order=str(draft), status=draft.status))
    return transitions.move(draft, DraftStatus.REJECTED)


@transaction.atomic
def take_back(draft_id: UUID, *, actor: User) -> DraftOrder:
    """APPROVED or ERROR -> NEEDS_REVIEW, without an edit. Raises `DraftOrder.DoesNotExist`, `IllegalMove`."""
    draft = _locked(draft_id, actor)
    back_to_review(draft, actor)
    return draft


def _locked(draft_id: UUID, actor: User) -> DraftOrder:
    return DraftOrder.objects.visible_to(actor).select_for_update(of=("self",)).get(pk=draft_id)
