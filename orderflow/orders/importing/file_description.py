"""Describe how a file is read, as `import_orders --dry-run` prints it for the user to check."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from orderflow.orders.importing.columns import Columns
from orderflow.orders.importing.documents import OrderIn
from orderflow.orders.importing.rows import TableScan
from orderflow.orders.importing.tables import Table
from orderflow.orders.importing.values import Conventions

FEW = 15


class FileDescription(NamedTuple):
    """``facts``: name and text. ``skipped`` orders, as the column map says; ``total``: the row left out as a total."""

    facts: tuple[tuple[str, str], ...] = ()
    skipped: int = 0
    total: int = 0


def describe_json(encoding: str) -> FileDescription:
    return FileDescription((("format", "JSON, one order a line"), ("encoding", encoding)) if encoding else ())


def describe_table(
    table: Table, columns: Columns, scanned: TableScan, conventions: Conventions
) -> FileDescription:
    facts = [
        *table.layout,
        ("decimal sign", _sign(table, scanned, conventions)),
        ("dates", conventions.dates.name),
    ]
    facts += [("columns", ", ".join(_columns(columns)))]
    if columns.map is not None and columns.map.fixed:
        facts += [("fixed", ", ".join(f"{name} = {value}" for name, value in columns.map.fixed.items()))]
    if columns.ignored:
        facts += [("not read", _few(columns.ignored))]
    facts += [("orders", str(scanned.orders))]
    return FileDescription(tuple(facts), scanned.skipped, scanned.total)


def describe_order(order: OrderIn) -> str:
    """Return an order in one line."""
    text = f"{order.external_order_number} of customer {order.customer_number}"
    text += f", {order.order_date:%Y-%m-%d}" if order.order_date else ", no date"
    text += f", {order.currency}" if order.currency else ", no currency"
    text += f", {len(order.lines)} lines"
    if order.lines:
        line = order.lines[0]
        text += (
            f"; the first: {line.internal_sku or 'no SKU'}, {line.qty.normalize():f} {line.uom or 'no unit'}"
        )
        text += f" at {line.unit_price.normalize():f}" if line.unit_price is not None else ", no price"
    return text


def _sign(table: Table, scanned: TableScan, conventions: Conventions) -> str:
    sign, numbers = conventions.sign, scanned.numbers
    if conventions.stated:
        return f"{sign}, as stated"
    if table.point_is_usual:
        return f"{sign}, as is usual with commas between the cells"
    if sign is not None:
        line, text = numbers.example[sign]
        return f"{sign}, by {text} in line {line}"
    if numbers.contradicts:
        return "not known: there are numbers with a point and with a comma; say which with --decimal"
    return "not known; say which with --decimal" if numbers.open else "none: all numbers are whole"


def _columns(columns: Columns) -> Iterator[str]:
    for field, positions in columns.positions.items():
        headings = " or ".join(columns.headings[position] for position in positions)
        yield field if headings == field else f"{headings} = {field}"


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return ", ".join(names[:FEW]) + more
