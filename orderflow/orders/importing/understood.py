"""How a file was understood, as `import_orders --dry-run` prints it for the user to check."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from orderflow.orders.importing.columns import Columns
from orderflow.orders.importing.documents import OrderIn
from orderflow.orders.importing.rows import Survey
from orderflow.orders.importing.tables import Table
from orderflow.orders.importing.values import Conventions

FEW = 15


class Understood(NamedTuple):
    """``facts``: name and text. ``skipped`` orders, as the column map says; ``total``: the row left out as a total."""

    facts: tuple[tuple[str, str], ...] = ()
    skipped: int = 0
    total: int = 0


def of_json(encoding: str) -> Understood:
    return Understood((("format", "JSON, one order a line"), ("encoding", encoding)) if encoding else ())


def of_table(table: Table, columns: Columns, found: Survey, conventions: Conventions) -> Understood:
    facts = [
        *table.layout,
        ("decimal sign", _sign(table, found, conventions)),
        ("dates", conventions.dates.name),
    ]
    facts += [("columns", ", ".join(_columns(columns)))]
    if columns.map is not None and columns.map.fixed:
        facts += [("fixed", ", ".join(f"{name} = {value}" for name, value in columns.map.fixed.items()))]
    if columns.ignored:
        facts += [("not read", _few(columns.ignored))]
    facts += [("orders", str(found.orders))]
    return Understood(tuple(facts), found.skipped, found.total)


def order_in_words(order: OrderIn) -> str:
    """Return an order in one line."""
    said = f"{order.external_order_number} of customer {order.customer_number}"
    said += f", {order.order_date:%Y-%m-%d}" if order.order_date else ", no date"
    said += f", {order.currency}" if order.currency else ", no currency"
    said += f", {len(order.lines)} lines"
    if order.lines:
        line = order.lines[0]
        said += (
            f"; the first: {line.internal_sku or 'no SKU'}, {line.qty.normalize():f} {line.uom or 'no unit'}"
        )
        said += f" at {line.unit_price.normalize():f}" if line.unit_price is not None else ", no price"
    return said


def _sign(table: Table, found: Survey, conventions: Conventions) -> str:
    sign, numbers = conventions.sign, found.numbers
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
