"""CSV: one row per order line; consecutive rows with the same customer and order number are one order."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import IO, Any, NamedTuple

from orderflow.orders.importing.documents import Found, Problem, Unreadable
from orderflow.orders.importing.limits import LONGEST_ROW, MOST_LINES_OF_ORDER, MOST_ORDERS, RowLines, count

# column: what the order or the line calls it
OF_ORDER = {
    "external_order_number": "external_order_number",
    "erp_customer_number": "erp_customer_number",
    "customer_name": "customer_name",
    "order_date": "order_date",
    "currency": "currency",
    "requested_delivery_date": "requested_delivery_date",
    "notes": "notes",
}
OF_LINE = {
    "line_no": "line_no",
    "internal_sku": "internal_sku",
    "customer_sku_raw": "customer_sku_raw",
    "product_description": "product_description",
    "qty": "qty",
    "uom": "uom",
    "unit_price": "unit_price",
    "line_currency": "currency",
}
REQUIRED = ("external_order_number", "erp_customer_number")
LONGEST_CELL = 1024 * 1024
APART = "the rows of this order do not stand together; sort the file by customer and order number"
BESIDE = "a row beside it can't be read and may be part of it; mend that row"


class Row(NamedTuple):
    line: int
    cells: dict[str, str]

    @property
    def key(self) -> tuple[str, str]:
        return self.cells["erp_customer_number"], self.cells["external_order_number"]


def as_orders(data: IO[bytes], unsafe: Mapping[int, str]) -> Iterator[Found | Unreadable]:
    for key, group in groupby(_rows(data), key=lambda row: row.key if isinstance(row, Row) else None):
        if key is None:
            yield from (one for one in group if isinstance(one, Unreadable))
            continue
        rows = [row for row in islice(group, MOST_LINES_OF_ORDER + 1) if isinstance(row, Row)]
        if hash(key) in unsafe:
            yield Unreadable(Problem(rows[0].line, "external_order_number", unsafe[hash(key)]))
        elif len(rows) > MOST_LINES_OF_ORDER:
            what = f"an order may have {MOST_LINES_OF_ORDER:,} lines at most; split it"
            yield Unreadable(Problem(rows[0].line, "external_order_number", what))
        else:
            yield _order(rows)


def incomplete(data: IO[bytes]) -> dict[int, str]:
    """Which orders may have rows elsewhere, and why: read once beforehand, as no part may go in for the whole."""
    unsafe: dict[int, str] = {}
    seen: set[int] = set()
    before, after_unreadable = 0, False
    for row in _rows(data):
        if isinstance(row, Unreadable):
            unsafe[before], after_unreadable = BESIDE, True
            continue
        key = hash(row.key)
        if after_unreadable:
            unsafe[key], after_unreadable = BESIDE, False
        elif key != before and key in seen:
            unsafe[key] = APART
        if key not in seen:
            count(len(seen), MOST_ORDERS, "orders")
        seen.add(key)
        before = key
    return unsafe


def _order(rows: Sequence[Row]) -> Found | Unreadable:
    first = rows[0]
    for row in rows[1:]:
        for name in OF_ORDER:
            if row.cells.get(name, "") not in ("", first.cells.get(name, "")):
                what = f"differs from line {first.line} of the same order; leave it empty or write the same"
                return Unreadable(Problem(row.line, name, what))
    header = {target: first.cells[name] for name, target in OF_ORDER.items() if name in first.cells}
    customer = {
        "erp_customer_number": header.pop("erp_customer_number"),
        "name": header.pop("customer_name", ""),
    }
    lines = [
        {target: row.cells[name] for name, target in OF_LINE.items() if name in row.cells} for row in rows
    ]
    fields: dict[str, Any] = {**header, "customer": customer, "lines": lines}
    return Found(first.line, fields, tuple(row.line for row in rows))


def _rows(data: IO[bytes]) -> Iterator[Row | Unreadable]:
    # What is not UTF-8 comes out as surrogates, which the check of each field refuses by name.
    text = io.TextIOWrapper(data, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield from _rows_of(text)
    finally:
        text.detach()  # else it would close the file with itself


def _rows_of(text: io.TextIOWrapper) -> Iterator[Row | Unreadable]:
    csv.field_size_limit(LONGEST_CELL)
    header = text.readline(LONGEST_ROW)
    columns = [name.strip() for name in next(csv.reader([header], delimiter=_delimiter(header)), [])]
    if wrong := _wrong_columns(columns):
        yield Unreadable(Problem(1, "the header", wrong))
        return
    lines = RowLines(text)
    reader = csv.reader(lines, delimiter=_delimiter(header), strict=True)
    line = 2
    try:
        for cells in reader:
            lines.next_row()
            if any(cells):
                yield _row(line, columns, cells)
            line = reader.line_num + 2
    except csv.Error as error:
        what = f"not CSV ({error}); nothing from here on was read: mend this line and import again"
        yield Unreadable(Problem(line, "the whole line", what))


def _row(line: int, columns: list[str], cells: list[str]) -> Row | Unreadable:
    if len(cells) != len(columns):
        what = (
            f"has {len(cells)} cells where the header has {len(columns)}; quote cells that hold a delimiter"
        )
        return Unreadable(Problem(line, "the whole line", what))
    row = Row(line, {name: cell.strip() for name, cell in zip(columns, cells, strict=True)})
    for name in REQUIRED:
        if not row.cells[name]:
            return Unreadable(Problem(line, name, "is empty; write it in every row of the order"))
    return row


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)


def _wrong_columns(columns: list[str]) -> str:
    known = {**OF_ORDER, **OF_LINE}
    if len(columns) > 2 * len(known):
        return f"has {len(columns)} columns; these are known: {', '.join(known)}"
    unknown = [name for name in columns if name not in known]
    missing = [name for name in REQUIRED if name not in columns]
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if unknown:
        return f"unknown columns {', '.join(map(repr, unknown))}; these are known: {', '.join(known)}"
    if missing:
        return f"the columns {', '.join(missing)} are missing"
    return f"columns that stand there twice: {', '.join(twice)}" if twice else ""
