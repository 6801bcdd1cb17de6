"""Approved orders as connectors see them, many with three queries."""

from collections import defaultdict
from collections.abc import Mapping
from uuid import UUID

from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce

from erp_connectors.faults import ORDER_INCOMPLETE, RENDER_FAILED, Fault
from erp_connectors.port_types import OrderCustomer, OrderDocument, OrderLine, SourceDocument
from orderflow.orders.models import DraftOrder, DraftOrderLine


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
    drafts = list(
        DraftOrder.objects.select_related("org", "customer", "document", "approved_by").filter(
            pk__in=line_counts
        )
    )
    lines = _lines({draft.pk: draft.currency for draft in drafts})
    # An export's draft is never deleted: the database holds it even if it did not return it.
    documents: dict[UUID, OrderDocument | Fault] = {
        draft_id: Fault(ORDER_INCOMPLETE, "It is missing.") for draft_id in line_counts
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
    lines: dict[UUID, list[OrderLine]] = defaultdict(list)
    for draft_id, line_no, sku, qty, uom, price, currency, raw_sku, description in rows:
        if draft_id not in currencies:
            continue
        lines[draft_id].append(
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


def _document(draft: DraftOrder, lines: list[OrderLine], line_count: int) -> OrderDocument | Fault:
    if len(lines) != line_count:
        return Fault(ORDER_INCOMPLETE, f"It has {line_count} lines, {len(lines)} were read.")
    if draft.customer is None:
        return Fault(RENDER_FAILED, "The order has no customer.")
    if draft.approved_at is None or draft.approved_by is None:
        return Fault(RENDER_FAILED, "The order is not approved.")
    # As approved; empty if the row was inserted as approved.
    name, number = draft.approved_customer_name, draft.approved_customer_number
    if not name:
        name, number = draft.customer.name, draft.customer.erp_customer_number
    source = draft.document
    return OrderDocument(
        draft_order_id=draft.pk,
        org_slug=draft.org.slug,
        approved_at=draft.approved_at,
        approved_by=draft.approved_by.email,
        customer=OrderCustomer(id=draft.customer.pk, erp_customer_number=number or None, name=name),
        external_order_number=draft.external_order_number or None,
        order_date=draft.order_date,
        currency=draft.currency,
        requested_delivery_date=draft.requested_delivery_date,
        notes=draft.notes or None,
        lines=tuple(lines),
        source_document=SourceDocument(source.pk, source.file_name, source.sha256) if source else None,
    )
