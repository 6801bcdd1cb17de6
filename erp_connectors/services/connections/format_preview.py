"""Show how a connector would write an order, before the connection is saved."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from erp_connectors.connection_config import parse_options
from erp_connectors.faults import Fault
from erp_connectors.port_types import OrderCustomer, OrderDocument, OrderLine
from erp_connectors.registry import connector_for
from erp_connectors.services.exports.order_snapshot import order_documents
from orderflow import clock
from orderflow.orders.models import DraftOrder

MAX_SHOWN = 20_000
_ID = UUID("550e8400-e29b-41d4-a716-446655440000")
# For an org that has no approved order yet.
EXAMPLE = OrderDocument(
    draft_order_id=_ID,
    org_slug="muster",
    approved_at=datetime(2026, 12, 1, 10, tzinfo=UTC),
    approved_by="ops@example.com",
    customer=OrderCustomer(_ID, "4711", "Muster GmbH"),
    external_order_number="PO-12345",
    order_date=date(2026, 12, 1),
    currency="EUR",
    requested_delivery_date=date(2026, 12, 10),
    notes="Bitte bis 10 Uhr; Tor 3",
    lines=(
        OrderLine(1, "INT-999", Decimal(10), "M", Decimal("1.23"), "EUR", "AB-123", "Kabel NYM-J 3x1,5 mm²"),
        OrderLine(2, "INT-1000", Decimal("2.5"), "ST", None, "EUR", None, 'Rohr 3/4"'),
    ),
    source_document=None,
)


@dataclass(frozen=True, slots=True)
class FormatPreview:
    """A file as it would be written: its text up to `MAX_SHOWN` characters, and its size in bytes."""

    filename: str
    text: str
    size: int
    is_shortened: bool


def preview_format(connector_type: str, config: Mapping[str, Any], draft: DraftOrder | None) -> FormatPreview:
    """Render an approved order, or `EXAMPLE`, with a config that may not be saved. Nothing is stored or sent.

    Raises `ConfigError` for wrong keys of the connector, and `Fault` if the order can't be written.
    """
    connector = connector_for(connector_type)
    options = parse_options(connector_type, config)
    order = EXAMPLE if draft is None else _document(draft)
    body = connector.render(order, options)
    text = connector.decode(body, options)
    name = connector.filename(order.draft_order_id, at=clock.now(), token="x" * 8, options=options)
    return FormatPreview(name, text[:MAX_SHOWN], len(body), len(text) > MAX_SHOWN)


def _document(draft: DraftOrder) -> OrderDocument:
    document = order_documents({draft.pk: draft.lines.count()})[draft.pk]
    if isinstance(document, Fault):
        raise document
    return document
