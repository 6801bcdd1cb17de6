"""A person's yes to a complete order."""

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from orderflow.audit.models import Action
from orderflow.audit.services import Entry, record
from orderflow.messages import Message, Refusal
from orderflow.orders import transitions
from orderflow.orders.models import DraftOrder
from orderflow.orders.readiness import missing_for_ready
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.models import User
from orderflow.transitions import IllegalMove


class NotReady(Refusal):
    """The order lacks something; ``missing`` lists it."""

    def __init__(self, draft: DraftOrder, missing: list[Message]) -> None:
        self.missing = missing
        super().__init__(Message("order.not_ready", order=str(draft), missing=missing))


@transaction.atomic
def approve(draft_id: UUID, *, actor: User) -> DraftOrder:
    """READY -> APPROVED. Raises `DraftOrder.DoesNotExist`, `IllegalMove` unless READY, `NotReady`."""
    draft = DraftOrder.objects.visible_to(actor).select_for_update(of=("self",)).get(pk=draft_id)
    if draft.status != DraftStatus.READY:
        raise IllegalMove(Message("order.approve_needs_ready", order=str(draft), status=draft.status))
    require_ready(draft)
    transitions.move(
        draft,
        DraftStatus.APPROVED,
        approved_by=actor,
        approved_at=timezone.now(),
        **_customer_as_it_is(draft),
    )
    record(
        Entry(
            action=Action.DRAFT_APPROVED,
            org_id=draft.org_id,
            entity_type="DraftOrder",
            entity_id=draft.pk,
            actor=actor,
        )
    )
    return draft


def _customer_as_it_is(draft: DraftOrder) -> dict[str, str]:
    """Freeze what is approved: a customer that is renamed or renumbered later does not change the order."""
    customer = draft.customer
    assert customer is not None  # noqa: S101  # a READY order has one
    return {
        "approved_customer_number": customer.erp_customer_number,
        "approved_customer_name": customer.name,
    }


def require_ready(draft: DraftOrder) -> None:
    missing = missing_for_ready(draft)
    if missing:
        raise NotReady(draft, missing)
