"""Values of an import: an order as the file has it, the checked order, and its problems."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec


class Problem(NamedTuple):
    """Why an order is refused: line and field of the file, ``what`` is wrong and how to correct it."""

    line: int
    field: str
    what: str


class Remark(NamedTuple):
    """Something that a user should check; the order is imported."""

    line: int
    field: str
    what: str


class Names(NamedTuple):
    """The headings of a table, by our field names."""

    of_order: Mapping[str, str] = {}
    of_line: Mapping[str, str] = {}


class RawOrder(NamedTuple):
    """An order as the file has it. ``at``: for a table, the line in the file of each order line."""

    line: int
    fields: Mapping[str, Any]
    at: tuple[int, ...] = ()
    names: Names = Names()


class Unreadable(NamedTuple):
    """A part of the file that cannot be read as an order."""

    problem: Problem

    @property
    def line(self) -> int:
        return self.problem.line


class LineIn(msgspec.Struct, frozen=True):
    line_no: int
    internal_sku: str
    customer_sku_raw: str
    product_description: str
    qty: Decimal
    uom: str
    unit_price: Decimal | None
    currency: str


class OrderIn(msgspec.Struct, frozen=True):
    external_order_number: str
    customer_number: str
    customer_name: str
    order_date: date | None
    currency: str
    requested_delivery_date: date | None
    notes: str
    lines: tuple[LineIn, ...]

    @property
    def key(self) -> tuple[str, str]:
        """Return what identifies the order when the file is imported again."""
        return self.customer_number, self.external_order_number
