"""Orders that come from a program: created whole, changed through the one door for that."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction

from orderflow.orders.editing import editing
from orderflow.orders.models import Document, DraftOrder, DraftOrderLine
from orderflow.orders.readiness import gaps
from orderflow.orders.same_number import hold_customers
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.models import Org, User
from orderflow.tenancy.same_org import require_same_org

Fields = Mapping[str, Any]
# An order that gets another of these may become one that the customer has already.
IDENTIFYING = frozenset({"customer", "external_order_number"})


@transaction.atomic
def create_draft(
    org: Org, *, header: Fields, lines: Sequence[Fields], document: Fields | None = None
) -> DraftOrder:
    """READY where nothing is missing, else NEEDS_REVIEW. ``header`` and ``lines``: validated fields of the models.

    Raises `ValidationError` for a customer of another org.
    """
    draft = DraftOrder(org=org, **header)
    if document is not None:
        draft.document = Document.objects.create(org=org, **document)
    require_same_org(draft)
    if draft.customer_id:
        hold_customers([draft.customer_id])
    rows = [DraftOrderLine(draft_order=draft, **line) for line in lines]
    draft.status = DraftStatus.NEEDS_REVIEW if gaps(draft, rows) else DraftStatus.READY
    draft.save()
    DraftOrderLine.objects.bulk_create(rows, batch_size=1000)
    return draft


def change_draft(
    draft_id: UUID, *, actor: User, header: Fields, lines: Sequence[Fields] | None
) -> DraftOrder:
    """Change the fields given; ``lines`` replace all of them, None leaves them.

    Raises as `editing` does, and `ValidationError` for a customer of another org.
    """
    with editing(draft_id, actor=actor) as draft:
        for name, value in header.items():
            setattr(draft, name, value)
        if "customer" in header:
            require_same_org(draft)
        if draft.customer_id and not IDENTIFYING.isdisjoint(header):
            hold_customers([draft.customer_id])
        draft.save(update_fields=[*header, "updated_at"])
        if lines is not None:
            draft.lines.all().delete()
            DraftOrderLine.objects.bulk_create(
                [DraftOrderLine(draft_order=draft, **line) for line in lines], batch_size=1000
            )
    return draft
