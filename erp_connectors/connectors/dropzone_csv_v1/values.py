"""The fields of an order, its customer and its lines that a column may contain, and their text."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

from erp_connectors.connectors.exact_decimals import PRICE_STEP, QTY_STEP, exact
from erp_connectors.port_types import OrderDocument, OrderLine

Value: TypeAlias = str | int | Decimal | date | datetime | UUID | None


class Unit(str):
    """A unit of measure, which the unit map may replace."""

    __slots__ = ()


class DateFormat(StrEnum):
    ISO = "YYYY-MM-DD"
    GERMAN = "DD.MM.YYYY"
    BRITISH = "DD/MM/YYYY"
    AMERICAN = "MM/DD/YYYY"
    COMPACT = "YYYYMMDD"
    COMPACT_GERMAN = "DDMMYYYY"


@dataclass(frozen=True, slots=True)
class TextStyle:
    """How dates, numbers and units are written."""

    decimal_mark: str
    date_format: DateFormat
    units: Mapping[str, str]


OrderField: TypeAlias = Callable[[OrderDocument], Value]
LineField: TypeAlias = Callable[[OrderLine], Value]

ORDER_FIELDS: Mapping[str, OrderField] = {
    "order.draft_order_id": lambda order: order.draft_order_id,
    "order.external_order_number": lambda order: order.external_order_number,
    "order.order_date": lambda order: order.order_date,
    "order.requested_delivery_date": lambda order: order.requested_delivery_date,
    "order.currency": lambda order: order.currency,
    "order.notes": lambda order: order.notes,
    "order.approved_at": lambda order: order.approved_at,
    "order.approved_by": lambda order: order.approved_by,
    "order.org_slug": lambda order: order.org_slug,
    "order.lines": lambda order: len(order.lines),
    "customer.id": lambda order: order.customer.id,
    "customer.erp_customer_number": lambda order: order.customer.erp_customer_number,
    "customer.name": lambda order: order.customer.name,
    "document.file_name": lambda order: order.source_document.file_name if order.source_document else None,
    "document.sha256": lambda order: order.source_document.sha256 if order.source_document else None,
}
LINE_FIELDS: Mapping[str, LineField] = {
    "line.line_no": lambda line: line.line_no,
    "line.internal_sku": lambda line: line.internal_sku,
    "line.customer_sku_raw": lambda line: line.customer_sku_raw,
    "line.description": lambda line: line.description,
    "line.qty": lambda line: exact(line.qty, QTY_STEP, line.line_no, "qty"),
    "line.uom": lambda line: Unit(line.uom),
    "line.unit_price": lambda line: (
        None if line.unit_price is None else exact(line.unit_price, PRICE_STEP, line.line_no, "unit_price")
    ),
    "line.currency": lambda line: line.currency,
}
# The columns with these fields hold numbers, which the quote rule "text" leaves unquoted.
NUMBERS = frozenset({"order.lines", "line.line_no", "line.qty", "line.unit_price"})


def as_text(value: Value, style: TextStyle) -> str:
    """Return the text of a cell; empty for None. A text is not changed, even if it looks like a formula."""
    if value is None:
        return ""
    if isinstance(value, Unit):
        return style.units.get(value, value)
    if isinstance(value, Decimal):
        return format(value, "f").replace(".", style.decimal_mark)
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(value, date):
        return _date(value, style.date_format)
    return str(value)


def _date(value: date, style: DateFormat) -> str:
    parts = {"YYYY": f"{value.year:04}", "MM": f"{value.month:02}", "DD": f"{value.day:02}"}
    text = style.value
    for place, part in parts.items():
        text = text.replace(place, part)
    return text
