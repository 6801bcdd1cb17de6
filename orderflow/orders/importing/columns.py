"""Match the columns of a table with fields: by our names, or by a column map (`column_maps/*.toml`, docs/import.md)."""

import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

import msgspec

from orderflow.input_rules.text import ONE_LINE
from orderflow.orders.importing.amounts import Sign
from orderflow.orders.importing.documents import Names
from orderflow.orders.importing.tables import trimmed
from orderflow.orders.importing.values import Refused, clean

# By the name of the column, the field of the order or of the line.
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
KNOWN = {**OF_ORDER, **OF_LINE}
REQUIRED = ("external_order_number", "erp_customer_number")
SHIPPED = Path(__file__).parent / "column_maps"
MAX_COLUMNS = 2_000
ANY = "*"

Headings = str | list[str]


class ColumnMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``columns``: per field the heading, or several of which the first that is not empty counts; others are ignored.

    ``fixed``: values of fields that the file does not have. ``skip_orders`` and ``skip_lines``: per heading the values
    (or ``*``, any) for which an order is left out, or a row gives no order line. ``order_once``: only an order's first
    row has its number, and rows without a product give no order line.
    """

    columns: dict[str, Headings]
    fixed: dict[str, str] = {}
    skip_orders: dict[str, list[str]] = {}
    skip_lines: dict[str, list[str]] = {}
    order_once: bool = False
    decimal: Sign | None = None
    date_format: str | None = None
    # The map's own name; not a key of the file.
    name: str = ""


class Rule(NamedTuple):
    """Match a cell against values; `ANY` matches every value that is not empty."""

    position: int
    values: Sequence[str]

    def matches(self, cells: Sequence[str]) -> bool:
        text = cells[self.position].strip().casefold()
        return any(bool(text) if one == ANY else text == one.casefold() for one in self.values)


class Columns(NamedTuple):
    """``positions`` of each field in a row, of which the first that is not empty counts; ``ignored`` headings.

    ``skip_orders`` and ``skip_lines``: the map's rules for the columns that the file has.
    """

    positions: Mapping[str, tuple[int, ...]]
    headings: Sequence[str]
    ignored: Sequence[str] = ()
    map: ColumnMap | None = None
    skip_orders: Sequence[Rule] = ()
    skip_lines: Sequence[Rule] = ()

    @property
    def names(self) -> Names:
        """Return the headings that problems show, by the fields of the order and of the line."""
        heading = {field: self.headings[several[0]] for field, several in self.positions.items()}
        of_order = {OF_ORDER[field]: name for field, name in heading.items() if field in OF_ORDER}
        of_order["name"] = heading.get("customer_name", "customer_name")
        return Names(of_order, {OF_LINE[field]: name for field, name in heading.items() if field in OF_LINE})


class BadColumns(ValueError):
    """The message says what is wrong and what to do."""


def shipped() -> list[str]:
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def column_map(name: str) -> ColumnMap:
    """Return a shipped map by its name, or a user's map by its path. Raise `BadColumns`."""
    path = SHIPPED / f"{name}.toml" if name in shipped() else Path(name)
    try:
        read = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), ColumnMap)
    except OSError as error:
        there = ", ".join(shipped())
        raise BadColumns(f"column map {name}: {error.strerror}; shipped maps: {there}") from None
    except (tomllib.TOMLDecodeError, UnicodeError, msgspec.ValidationError) as error:
        raise BadColumns(f"column map {name}: {error}") from None
    if unknown := sorted({*read.columns, *read.fixed} - KNOWN.keys()):
        fields = ", ".join(KNOWN)
        raise BadColumns(f"column map {name}: no such field {', '.join(unknown)}; known: {fields}")
    if missing := [field for field in REQUIRED if field not in {*read.columns, *read.fixed}]:
        raise BadColumns(f"column map {name}: {', '.join(missing)} is missing")
    return msgspec.structs.replace(read, name=name)


def match(header: Sequence[str], mapping: ColumnMap | None) -> Columns:
    """Return the position of each field in a row. Raise `BadColumns`."""
    headings = [_heading(position, name) for position, name in enumerate(trimmed(list(header)), 1)]
    if len(headings) > MAX_COLUMNS:
        raise BadColumns(f"has {len(headings)} columns; {MAX_COLUMNS} at most")
    return _by_map(headings, mapping) if mapping else _by_our_names(headings)


def _heading(position: int, name: str) -> str:
    try:
        return clean(name, ONE_LINE)
    except Refused as refused:
        raise BadColumns(f"column {position} {refused}") from None


def _by_our_names(headings: Sequence[str]) -> Columns:
    fields = [_key(name) for name in headings]
    unknown = [name for name, field in zip(headings, fields, strict=True) if field not in KNOWN]
    if len(fields) > 2 * len(KNOWN):
        raise BadColumns(f"has {len(fields)} columns; {_advice(headings)}")
    if unknown:
        raise BadColumns(f"unknown columns {', '.join(map(repr, unknown))}; {_advice(headings)}")
    if missing := [name for name in REQUIRED if name not in fields]:
        raise BadColumns(f"the columns {', '.join(missing)} are missing; {_advice(headings)}")
    if twice := sorted({field for field in fields if fields.count(field) > 1}):
        raise BadColumns(f"columns that appear more than once: {', '.join(twice)}")
    return Columns({field: (position,) for position, field in enumerate(fields)}, headings)


def _by_map(headings: Sequence[str], mapping: ColumnMap) -> Columns:
    _require_each_once(headings, mapping)
    positions: dict[str, tuple[int, ...]] = {}
    for field, wanted in mapping.columns.items():
        found = _all(headings, wanted)
        if found:
            positions[field] = found
        elif field in REQUIRED:
            what = f"the column {_several(wanted)[0]!r} for {field} is missing ({mapping.name}); the file has"
            raise BadColumns(f"{what} {', '.join(map(repr, headings[:30]))}")
    read = {position for several in positions.values() for position in several}
    ignored = [name for position, name in enumerate(headings) if name and position not in read]
    return Columns(
        positions,
        headings,
        ignored,
        mapping,
        skip_orders=_rules(headings, mapping.skip_orders),
        skip_lines=_rules(headings, mapping.skip_lines),
    )


def _require_each_once(headings: Sequence[str], mapping: ColumnMap) -> None:
    """Raise `BadColumns` if a heading that the map reads is in several columns: one of them may hold other values."""
    of_fields = (heading for wanted in mapping.columns.values() for heading in _several(wanted))
    read = {_folded(heading) for heading in (*of_fields, *mapping.skip_orders, *mapping.skip_lines)}
    columns = Counter(map(_folded, headings))
    repeated = [name for name in headings if columns[_folded(name)] > 1 and _folded(name) in read]
    if repeated:
        named = ", ".join(dict.fromkeys(map(repr, repeated)))
        raise BadColumns(
            f"columns that the map reads appear more than once: {named}; rename or remove all but one of each"
        )


def _rules(headings: Sequence[str], wanted: Mapping[str, Sequence[str]]) -> list[Rule]:
    found = ((_find(headings, heading), values) for heading, values in wanted.items())
    return [Rule(position, values) for position, values in found if position is not None]


def _find(headings: Sequence[str], wanted: str) -> int | None:
    for position, name in enumerate(headings):
        if _folded(name) == _folded(wanted):
            return position
    return None


def _folded(heading: str) -> str:
    return heading.strip().casefold()


def _several(wanted: Headings) -> list[str]:
    return [wanted] if isinstance(wanted, str) else wanted


def _all(headings: Sequence[str], wanted: Headings) -> tuple[int, ...]:
    found = (_find(headings, name) for name in _several(wanted))
    return tuple(position for position in found if position is not None)


def _key(heading: str) -> str:
    """Return a heading for comparison: case, blanks and hyphens make no difference."""
    return re.sub(r"[\s-]+", "_", _folded(heading))


def _advice(headings: Sequence[str]) -> str:
    """Return what to do: use a shipped map, rename the columns, or write a map."""
    for name in shipped():
        columns = column_map(name).columns
        if all(_all(headings, columns[field]) for field in ("external_order_number", "internal_sku", "qty")):
            return f"they look like an export of {name}: say --columns {name}"
    guesses = [f"{name!r} may be {close}" for name in headings if (close := _guess(name))]
    hint = f"; {'; '.join(guesses[:5])}" if guesses else ""
    known = ", ".join(KNOWN)
    return f"these are known: {known}{hint}. Rename them, or say which is which in a file: --columns FILE"


# Common headings of the fields in English and German; for suggestions only.
_COMMON_HEADINGS = {
    "external_order_number": "order number, order no, order, po number, purchase order, bestellnummer, auftragsnummer",
    "erp_customer_number": "customer number, customer no, customer, account, kundennummer, kunde, debitor",
    "customer_name": "customer name, company, name, firma, kundenname",
    "order_date": "date, order date, datum, bestelldatum, auftragsdatum",
    "currency": "currency, waehrung, w\u00e4hrung",
    "requested_delivery_date": "delivery date, requested date, lieferdatum, wunschtermin, liefertermin",
    "notes": "notes, note, comment, bemerkung, notiz",
    "line_no": "line, position, pos, line number",
    "internal_sku": "sku, item, article, article number, item number, artikelnummer, artikel",
    "customer_sku_raw": "customer sku, customer item, kundenartikelnummer",
    "product_description": "description, product, text, bezeichnung, beschreibung",
    "qty": "quantity, qty, amount, menge, anzahl",
    "uom": "unit, uom, einheit, me",
    "unit_price": "price, unit price, preis, einzelpreis, stueckpreis",
}
_FIELD_BY_HEADING = {name: field for field, names in _COMMON_HEADINGS.items() for name in names.split(", ")}


def _guess(heading: str) -> str:
    key = _key(heading)
    if key in KNOWN:
        return ""
    close = get_close_matches(key.replace("_", " "), _FIELD_BY_HEADING, n=1, cutoff=0.85)
    return _FIELD_BY_HEADING[close[0]] if close else ""
