"""Parse the config's lists, which have one entry a line: the columns, and the units of the ERP."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from unicodedata import category

from erp_connectors.connectors.dropzone_csv_v1.values import LINE_FIELDS, NUMBERS, ORDER_FIELDS
from orderflow.messages import Message

MAX_COLUMNS = 200
UNITS = ("ST", "M", "CM", "MM", "KG", "G", "L", "ML", "KAR", "PAL", "SET")
DEFAULT_COLUMNS = """\
order_id = order.draft_order_id
order_number = order.external_order_number
order_date = order.order_date
delivery_date = order.requested_delivery_date
customer_number = customer.erp_customer_number
customer_name = customer.name
line_no = line.line_no
article = line.internal_sku
customer_article = line.customer_sku_raw
description = line.description
quantity = line.qty
unit = line.uom
unit_price = line.unit_price
currency = line.currency
notes = order.notes"""

# The value is the last part, so that a heading may contain an equals sign. The length of a heading bounds the search.
_COLUMN = re.compile(r'(?P<heading>.{1,200}?)\s*=\s*(?:"(?P<constant>(?:[^"]|"")*)"|(?P<field>[^\s="]+))')
_UNIT = re.compile(r"(?P<ours>\w+)\s*=\s*(?P<theirs>.*\S)")
_LINE_BREAK = re.compile(r"\r\n?|\n")


@dataclass(frozen=True, slots=True)
class Column:
    """One column; ``field`` is empty if it has a constant."""

    heading: str
    field: str = ""
    constant: str = ""

    @property
    def is_number(self) -> bool:
        return self.field in NUMBERS

    @property
    def source(self) -> str:
        """Return the value as it is written in the config."""
        return self.field or '"{}"'.format(self.constant.replace('"', '""'))


class WrongText(ValueError):
    def __init__(self, why: Message) -> None:
        self.why = why
        super().__init__(why)


@lru_cache(maxsize=128)
def parse_columns(text: str) -> tuple[Column, ...]:
    """Return the columns of ``heading = value`` lines. Raises `WrongText`, which names the line."""
    columns: list[Column] = []
    headings: set[str] = set()
    for number, line in _entries(text):
        column = _column(number, line)
        if any(category(one) == "Cc" for one in column.heading + column.constant):
            raise WrongText(Message("csv.control_character", line=number))
        if column.heading in headings:
            raise WrongText(Message("csv.heading_twice", line=number, heading=column.heading))
        headings.add(column.heading)
        columns.append(column)
    if not columns:
        raise WrongText(Message("csv.no_columns"))
    if len(columns) > MAX_COLUMNS:
        raise WrongText(Message("csv.too_many_columns", number=len(columns), most=MAX_COLUMNS))
    return tuple(columns)


def parse_units(text: str) -> Mapping[str, str]:
    """Return the ERP's unit for each of ours in ``ours = theirs`` lines. Raises `WrongText`, which names the line."""
    units: dict[str, str] = {}
    for number, line in _entries(text):
        found = _UNIT.fullmatch(line)
        if found is None:
            raise WrongText(Message("csv.not_a_unit_line", line=number))
        ours = found["ours"].upper()
        if ours not in UNITS:
            raise WrongText(Message("csv.unknown_unit", line=number, unit=ours, units=", ".join(UNITS)))
        if ours in units:
            raise WrongText(Message("csv.unit_twice", line=number, unit=ours))
        units[ours] = found["theirs"]
    return units


def _entries(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(_LINE_BREAK.split(text), 1):
        if line.strip():
            yield number, line.strip()


def _column(number: int, line: str) -> Column:
    found = _COLUMN.fullmatch(line)
    if found is None:
        raise WrongText(Message("csv.not_a_column_line", line=number))
    heading, constant, field = found["heading"], found["constant"], found["field"]
    if constant is not None:
        return Column(heading, constant=constant.replace('""', '"'))
    if field not in ORDER_FIELDS and field not in LINE_FIELDS:
        known = ", ".join([*ORDER_FIELDS, *LINE_FIELDS])
        raise WrongText(Message("csv.unknown_field", line=number, field=field, known=known))
    return Column(heading, field=field)
