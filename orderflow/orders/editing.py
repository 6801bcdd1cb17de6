"""The one door for changing an order's header or lines."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import transaction

from orderflow.audit.models import Action
from orderflow.audit.services import Entry, record
from orderflow.messages import Message
from orderflow.orders import transitions
from orderflow.orders.approval import require_ready
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import EDITABLE, DraftStatus
from orderflow.tenancy.models import User
from orderflow.transitions import IllegalMove


@contextmanager
def editing(draft_id: UUID, *, actor: User) -> Iterator[DraftOrder]:
    """Lock a draft for the changes made in the body.

    An approval is taken back, an order in ERROR goes to review, and a READY one must still be complete. Raises
    `IllegalMove` for an order on its way to the ERP, `NotReady`, `DraftOrder.DoesNotExist`.
    """
    with transaction.atomic():
        draft = DraftOrder.objects.visible_to(actor).select_for_update(of=("self",)).get(pk=draft_id)
        if draft.status not in EDITABLE:
            raise IllegalMove(Message("order.not_editable", order=str(draft), status=draft.status))
        yield draft
        if draft.status == DraftStatus.READY:
            require_ready(DraftOrder.objects.get(pk=draft_id))
        elif draft.status in (DraftStatus.APPROVED, DraftStatus.ERROR):
            back_to_review(draft, actor)


def back_to_review(draft: DraftOrder, actor: User) -> None:
    """For a draft that the caller holds locked."""
    before = {"status": draft.status, "approved_by": draft.approved_by.email if draft.approved_by else None}
    transitions.move(
        draft,
        DraftStatus.NEEDS_REVIEW,
        approved_by=None,
        approved_at=None,
        approved_customer_number="",
        approved_customer_name="",
    )
    record(
        Entry(
            action=Action.APPROVAL_REVERTED,
            org_id=draft.org_id,
            entity_type="DraftOrder",
            entity_id=draft.pk,
            actor=actor,
            before=before,
        )
    )
