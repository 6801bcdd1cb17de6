"""Approved orders as connectors see them, many with three queries."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce

from erp_connectors.faults import ORDER_INCOMPLETE, RENDER_FAILED, Fault
from erp_connectors.port_types import OrderCustomer, OrderDocument, OrderLine, SourceDocument
from orderflow.messages import Message
from orderflow.orders.models import DraftOrder, DraftOrderLine

# The columns of `_Draft`, in its order.
_COLUMNS = (
    "pk",
    "org__slug",
    "currency",
    "external_order_number",
    "order_date",
    "requested_delivery_date",
    "notes",
    "approved_at",
    "approved_by__email",
    "approved_customer_name",
    "approved_customer_number",
    "customer_id",
    "customer__name",
    "customer__erp_customer_number",
    "document_id",
    "document__file_name",
    "document__sha256",
)


class _Draft(NamedTuple):
    """An order's own values, and those of the rows that it refers to; None if there is no such row."""

    pk: UUID
    org_slug: str
    currency: str
    external_order_number: str
    order_date: date | None
    requested_delivery_date: date | None
    notes: str
    approved_at: datetime | None
    approved_by: str | None
    approved_customer_name: str
    approved_customer_number: str
    customer_id: UUID | None
    customer_name: str | None
    customer_number: str | None
    document_id: UUID | None
    document_name: str | None
    document_sha256: str | None


def line_count() -> Coalesce:
    """Return the number of lines of an export's order, as an annotation of exports."""
    lines = DraftOrderLine.objects.filter(draft_order=OuterRef("draft_order")).order_by()
    counts = lines.values("draft_order").annotate(lines=Count("pk")).values("lines")
    return Coalesce(Subquery(counts), 0)


def order_documents(line_counts: Mapping[UUID, int]) -> Mapping[UUID, OrderDocument | Fault]:
    """Return one entry per draft of ``line_counts``, which says how many lines each has.

    The entry is a `Fault` RENDER_FAILED if the draft lacks what every order must have. It is a `Fault`
    ORDER_INCOMPLETE if the database returned no such draft or another number of lines: no file may be shorter than
    its order.
    """
    # Values instead of model instances: an order would take five of them.
    drafts = [
        _Draft(*values) for values in DraftOrder.objects.filter(pk__in=line_counts).values_list(*_COLUMNS)
    ]
    lines = _lines({draft.pk: draft.currency for draft in drafts})
    # An export's draft is never deleted: the database holds it even if it did not return it.
    documents: dict[UUID, OrderDocument | Fault] = {
        draft_id: Fault(ORDER_INCOMPLETE, Message("render.order_missing")) for draft_id in line_counts
    }
    return documents | {
        draft.pk: _document(draft, lines[draft.pk], line_counts[draft.pk]) for draft in drafts
    }


def _lines(currencies: Mapping[UUID, str]) -> dict[UUID, list[OrderLine]]:
    """Return the lines of each order, by its id. A line without a currency gets that of the order."""
    rows = (
        DraftOrderLine.objects.filter(draft_order_id__in=currencies)
        .order_by("draft_order_id", "line_no")
        .values_list(
            "draft_order_id",
            "line_no",
            "internal_sku",
            "qty",
            "uom",
            "unit_price",
            "currency",
            "customer_sku_raw",
            "product_description",
        )
    )
    lines: dict[UUID, list[OrderLine]] = {draft_id: [] for draft_id in currencies}
    for draft_id, line_no, sku, qty, uom, price, currency, raw_sku, description in rows:
        mine = lines.get(draft_id)
        if mine is None:
            continue
        mine.append(
            OrderLine(
                line_no=line_no,
                internal_sku=sku or "",
                qty=qty,
                uom=uom or "",
                unit_price=price,
                currency=currency or currencies[draft_id],
                customer_sku_raw=raw_sku or None,
                description=description or None,
            )
        )
    return lines


def _document(draft: _Draft, lines: list[OrderLine], line_count: int) -> OrderDocument | Fault:
    if len(lines) != line_count:
        counts = Message("render.lines_missing", lines=line_count, read=len(lines))
        return Fault(ORDER_INCOMPLETE, counts)
    if draft.customer_id is None or draft.customer_name is None:
        return Fault(RENDER_FAILED, Message("render.no_customer"))
    if draft.approved_at is None or draft.approved_by is None:
        return Fault(RENDER_FAILED, Message("render.not_approved"))
    # As approved; empty if the row was inserted as approved.
    name, number = draft.approved_customer_name, draft.approved_customer_number
    if not name:
        name, number = draft.customer_name, draft.customer_number or ""
    source = None
    if draft.document_id and draft.document_name is not None and draft.document_sha256 is not None:
        source = SourceDocument(draft.document_id, draft.document_name, draft.document_sha256)
    return OrderDocument(
        draft_order_id=draft.pk,
        org_slug=draft.org_slug,
        approved_at=draft.approved_at,
        approved_by=draft.approved_by,
        customer=OrderCustomer(id=draft.customer_id, erp_customer_number=number or None, name=name),
        external_order_number=draft.external_order_number or None,
        order_date=draft.order_date,
        currency=draft.currency,
        requested_delivery_date=draft.requested_delivery_date,
        notes=draft.notes or None,
        lines=tuple(lines),
        source_document=source,
    )
