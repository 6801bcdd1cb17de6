"""Group rows of a table to orders: consecutive rows with the same customer and order number are one order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Any, NamedTuple

from orderflow.input_rules.keys import normal_form
from orderflow.orders.importing.amounts import Evidence
from orderflow.orders.importing.cells import as_shown
from orderflow.orders.importing.columns import OF_LINE, OF_ORDER, REQUIRED, Columns
from orderflow.orders.importing.documents import Problem, RawOrder, Unreadable
from orderflow.orders.importing.limits import MAX_LINES_OF_ORDER, MAX_ORDERS, count
from orderflow.orders.importing.tables import Table, TableRow, trimmed

APART = "the rows of this order are not next to each other; sort the file by customer and order number"
BESIDE = "the row before or after it can't be read and may be part of it; correct that row"
TOTALS = frozenset(
    {
        "total",
        "totals",
        "sum",
        "grand total",
        "summe",
        "gesamt",
        "gesamtsumme",
        "somme",
        "totale",
        "suma",
        "totaal",
    }
)
AMOUNTS = ("qty", "unit_price")


class Row(NamedTuple):
    line: int
    cells: dict[str, str]
    # False: by the column map, the row is no order line.
    has_line: bool = True
    skipped: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return self.cells["erp_customer_number"], self.cells["external_order_number"]


class Total(NamedTuple):
    """The last row, if it is a total and no order line."""

    line: int


@dataclass(slots=True)
class TableScan:
    """Result of a first reading of the table. ``unsafe``: why an order may be incomplete, by the hash of its key."""

    unsafe: dict[int, str] = field(default_factory=dict)
    numbers: Evidence = field(default_factory=Evidence)
    orders: int = 0
    skipped: int = 0
    total: int = 0


def scan(table: Table, columns: Columns) -> TableScan:
    """Read the whole table before the import, so that no incomplete order is imported."""
    scanned = TableScan()
    seen: set[int] = set()
    before, after_unreadable = 0, False
    for row in _rows(table, columns):
        if isinstance(row, Total):
            scanned.total = row.line
            continue
        if isinstance(row, Unreadable):
            scanned.unsafe[before], after_unreadable = BESIDE, True
            continue
        scanned.numbers.add(row.line, (row.cells[name] for name in AMOUNTS if name in row.cells))
        key = hash(row.key)
        if after_unreadable:
            scanned.unsafe[key], after_unreadable = BESIDE, False
        elif key != before and key in seen:
            scanned.unsafe[key] = APART
        if key not in seen:
            count(len(seen), MAX_ORDERS, "orders")
            scanned.skipped += row.skipped
        seen.add(key)
        before = key
    scanned.orders = len(seen)
    return scanned


def as_orders(table: Table, columns: Columns, unsafe: Mapping[int, str]) -> Iterator[RawOrder | Unreadable]:
    """Yield each order of the table; refuse those in ``unsafe``."""
    rows = (row for row in _rows(table, columns) if not isinstance(row, Total))
    for key, group in groupby(rows, key=lambda row: row.key if isinstance(row, Row) else None):
        if key is None:
            yield from (one for one in group if isinstance(one, Unreadable))
            continue
        together = [row for row in islice(group, MAX_LINES_OF_ORDER + 1) if isinstance(row, Row)]
        name = columns.names.of_order.get("external_order_number", "external_order_number")
        if hash(key) in unsafe:
            yield Unreadable(Problem(together[0].line, name, unsafe[hash(key)]))
        elif together[0].skipped:
            continue
        elif len(together) > MAX_LINES_OF_ORDER:
            what = f"an order may have {MAX_LINES_OF_ORDER:,} lines at most; split it"
            yield Unreadable(Problem(together[0].line, name, what))
        else:
            yield _order(together, columns)


def _order(rows: Sequence[Row], columns: Columns) -> RawOrder | Unreadable:
    first, names = rows[0], columns.names
    for row in rows[1:]:
        for name, target in OF_ORDER.items():
            if row.cells.get(name, "") not in ("", first.cells.get(name, "")):
                what = f"differs from line {first.line} of the same order; leave it empty or write the same"
                return Unreadable(Problem(row.line, names.of_order.get(target, name), what))
    header = {target: first.cells[name] for name, target in OF_ORDER.items() if name in first.cells}
    customer = {
        "erp_customer_number": header.pop("erp_customer_number"),
        "name": header.pop("customer_name", ""),
    }
    with_line = [row for row in rows if row.has_line]
    lines = [
        {target: row.cells[name] for name, target in OF_LINE.items() if name in row.cells}
        for row in with_line
    ]
    fields: dict[str, Any] = {**header, "customer": customer, "lines": lines}
    return RawOrder(first.line, fields, tuple(row.line for row in with_line), names)


def _rows(table: Table, columns: Columns) -> Iterator[Row | Unreadable | Total]:
    """Yield each row as fields. A row that looks like a total is one only if it is the last."""
    before: Row | None = None
    maybe_total: Row | None = None
    for row in _mapped(table, columns):
        if maybe_total is not None:
            yield _without_key(maybe_total, columns)
            maybe_total = None
        if isinstance(row, Unreadable):
            yield row
            continue
        row = _with_key_of(row, before, columns)  # noqa: PLW2901
        if _looks_like_a_total(row, columns):
            maybe_total = row
        elif not all(row.cells[name] for name in REQUIRED):
            yield _without_key(row, columns)
        else:
            yield row
            before = row
    if maybe_total is not None:
        yield Total(maybe_total.line)


def _mapped(table: Table, columns: Columns) -> Iterator[Row | Unreadable]:
    width = len(columns.headings)
    for row in table.rows():
        if isinstance(row, Unreadable):
            yield row
            continue
        cells = trimmed(row.cells)
        if not cells:
            continue
        if len(cells) > width or (table.refuses_short_rows and len(row.cells) < width):
            yield Unreadable(Problem(row.line, "the whole line", _wrong_width(row.cells, width)))
            continue
        yield _fields(TableRow(row.line, cells + [""] * (width - len(cells))), columns)


def _wrong_width(cells: Sequence[str], width: int) -> str:
    return f"has {len(cells)} cells where the header has {width}; quote cells that hold a delimiter"


def _fields(row: TableRow, columns: Columns) -> Row:
    cells = {name: _first_filled(row.cells, several) for name, several in columns.positions.items()}
    for name in REQUIRED:
        if name in cells:
            shown = as_shown(cells[name])
            cells[name] = normal_form(shown) if type(shown) is str else shown
    mapping = columns.map
    if mapping is None:
        return Row(row.line, cells)
    has_line = not any(rule.matches(row.cells) for rule in columns.skip_lines)
    if mapping.order_once:
        has_line = has_line and any(cells.get(name) for name in OF_LINE)
    skipped = any(rule.matches(row.cells) for rule in columns.skip_orders)
    fixed = {name: value for name, value in mapping.fixed.items() if not cells.get(name)}
    return Row(row.line, cells | fixed, has_line, skipped)


def _first_filled(cells: Sequence[str], several: tuple[int, ...]) -> str:
    if len(several) == 1:
        return cells[several[0]]
    filled = (cells[position] for position in several if cells[position].strip())
    return next(filled, "")


def _with_key_of(row: Row, before: Row | None, columns: Columns) -> Row:
    """Copy the key of the row above to a row without a customer, or without any key if the map allows that."""
    if before is None:
        return row
    customer, number = row.key
    once = columns.map is not None and columns.map.order_once
    same = (not customer and number == before.key[1]) or (
        once and not number and customer in ("", before.key[0])
    )
    if not same:
        return row
    key = dict(zip(("erp_customer_number", "external_order_number"), before.key, strict=True))
    return row._replace(cells=row.cells | key)


def _looks_like_a_total(row: Row, columns: Columns) -> bool:
    """Return whether the row has no order, customer or product: only numbers, and possibly a word for *total*."""
    if columns.map is not None and columns.map.order_once:
        return False
    fixed = columns.map.fixed if columns.map else {}
    customer = "" if "erp_customer_number" in fixed else row.cells["erp_customer_number"]
    if customer and customer.casefold().rstrip(":") not in TOTALS:
        return False
    texts = [value.strip() for name, value in row.cells.items() if name not in (*AMOUNTS, *fixed)]
    return all(not text or text.casefold().rstrip(":") in TOTALS for text in texts)


def _without_key(row: Row, columns: Columns) -> Unreadable:
    name = next(name for name in REQUIRED if not row.cells[name] or row.cells[name].casefold() in TOTALS)
    what = "is empty; write it in every row of the order"
    if name == "erp_customer_number":
        what = "is empty; write it in the first row of the order, or in each"
    return Unreadable(Problem(row.line, columns.names.of_order.get(name, name), what))
