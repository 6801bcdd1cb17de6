"""What travels from a file into the database: what was found, what of it is an order, and what is wrong with it."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec


class Problem(NamedTuple):
    """``line`` of the file, the field as the file names it, and what is wrong and what to write instead."""

    line: int
    field: str
    what: str


class Remark(NamedTuple):
    """Something about an order that a user should look at, and that stops nothing."""

    line: int
    field: str
    what: str


class Names(NamedTuple):
    """The headings of a table by the names of our fields."""

    of_order: Mapping[str, str] = {}
    of_line: Mapping[str, str] = {}


class Found(NamedTuple):
    """One order as the file has it. ``at`` are the lines of its order lines if each has one of its own (a table)."""

    line: int
    fields: Mapping[str, Any]
    at: tuple[int, ...] = ()
    names: Names = Names()


class Unreadable(NamedTuple):
    """A place in the file that is no order."""

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
        """What makes it the same order when the file is read again."""
        return self.customer_number, self.external_order_number
