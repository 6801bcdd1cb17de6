"""Convert and check single values. An absent value (null, empty) passes; readiness is checked elsewhere."""

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError

from orderflow.input_rules.currencies import require_currency
from orderflow.input_rules.text import KEY, LINES, ONE_LINE, TextRule
from orderflow.orders.importing import amounts
from orderflow.orders.importing.cells import DateCell, NumberCell, as_shown
from orderflow.orders.importing.changed_by_spreadsheet import CHANGED, is_changed
from orderflow.orders.importing.dates import ISO, DateFormat, date_format, suggestion
from orderflow.orders.states import Uom

Convert = Callable[[Any], Any]
_UNDECODED = re.compile(r"[\ud800-\udfff]")
_NUMBER = re.compile(r"[0-9.eE+-]{1,60}")
_UNITS = tuple(Uom.values)
# By the code of an error of `input_rules`: the clause that follows the name of a field.
_CLAUSES = {
    "control_character": "contains the character U+%(code)s, which is not allowed; remove it",
    "line_break": "contains a line break; write it in one line",
    "currency": "“%(code)s” is not a currency of ISO 4217; write a code like EUR",
    "currency_misspelt": "“%(code)s” is not a currency of ISO 4217; write %(meant)s",
}


class Refused(Exception):
    """The message says what is wrong with a value, and how to correct it."""


class Conventions(NamedTuple):
    """Number and date formats of a file. ``stated``: the user chose the decimal sign."""

    sign: amounts.Sign | None = "point"
    stated: bool = False
    dates: DateFormat = date_format(ISO)
    # False for JSON: its numbers, also those in strings, follow JSON's notation.
    is_table: bool = False


def text(longest: int, rule: TextRule = ONE_LINE) -> Convert:
    def convert(value: Any) -> str:
        if value is None:
            return ""
        if not isinstance(value, str):
            raise Refused(f"{value!r:.60} is not text; put it in quotes")
        cleaned = clean(value, rule)
        if len(value) > longest:
            raise Refused(f"has {len(value)} characters, {longest} at most")
        return cleaned

    return convert


def clean(value: str, rule: TextRule) -> str:
    """Return the text in the form to store. Raise `Refused`."""
    if _UNDECODED.search(value):
        raise Refused(
            "contains bytes that are not UTF-8; save the file as UTF-8, or say its encoding, for example "
            "--encoding windows-1252"
        )
    try:
        return rule.clean(value)
    except ValidationError as wrong:
        raise _refused(wrong) from None


def lines(longest: int) -> Convert:
    convert = text(longest, LINES)
    return lambda value: convert(value).strip()


def key(longest: int) -> Convert:
    convert = text(longest, KEY)

    def checked(value: Any) -> str:
        value = as_shown(value)
        if isinstance(value, str) and is_changed(value):
            raise Refused(f"{str(value)[:40]!r}: {CHANGED}")
        converted: str = convert(value)
        return converted

    return checked


def required_key(longest: int) -> Convert:
    convert = key(longest)

    def required(value: Any) -> str:
        converted: str = convert(value)
        if not converted:
            raise Refused(
                "is missing; by customer and order number an order is known when it is imported again"
            )
        return converted

    return required


def day(conventions: Conventions) -> Convert:
    def convert(value: Any) -> date | None:
        written = _short(value)
        if not written:
            return None
        try:
            if isinstance(value, DateCell):
                return date.fromisoformat(value)
            return conventions.dates.parse(written)
        except ValueError:
            pass
        what = f"{written!r} is not a date"
        if conventions.dates.name == ISO:
            what += "; write it like 2026-11-02"
        else:
            what += f" of the format {conventions.dates.name}"
        raise Refused(what + (suggestion(written) if conventions.is_table else ""))

    return convert


def currency(value: Any) -> str:
    written = _short(value)
    if written:
        try:
            require_currency(written)
        except ValidationError as wrong:
            raise _refused(wrong) from None
    return written


def uom(value: Any) -> str:
    written = _short(value)
    if written and written not in _UNITS:
        raise Refused(f"{written!r} is not a unit; write one of {' '.join(_UNITS)}")
    return written


def line_no(value: Any) -> int | None:
    if value is None or value == "":
        return None
    written = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"[1-9][0-9]{0,5}", written):
        raise Refused(f"{written[:30]!r} is not a line number; write 1 to 999999")
    return int(written)


def quantity(conventions: Conventions) -> Convert:
    return lambda value: _number(value, conventions, places=3) or Decimal(0)


def price(conventions: Conventions) -> Convert:
    return lambda value: _number(value, conventions, places=4)


def _number(value: Any, conventions: Conventions, *, places: int) -> Decimal | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    number = _of_table(value, conventions) if conventions.is_table else _of_json(value)
    whole = 18 - places
    if number and number.adjusted() >= whole:
        raise Refused(f"{number:.40} is too big; {whole} digits before the point at most")
    scaled = number.quantize(Decimal(1).scaleb(-places))
    if scaled != number:
        raise Refused(f"{value!s:.40} has more than {places} decimals; they would be lost")
    return scaled


def _of_table(value: str, conventions: Conventions) -> Decimal:
    written = value if isinstance(value, NumberCell) else value.strip()
    try:
        return amounts.parse(written, conventions.sign, stated=conventions.stated)
    except amounts.NotANumber as wrong:
        raise Refused(str(wrong)) from None


def _of_json(value: Any) -> Decimal:
    try:
        # Decimal itself accepts 1_000, and digits of every script.
        if not isinstance(value, bool) and _NUMBER.fullmatch(str(value)):
            number = Decimal(value)
            if number.is_finite():
                return number
    except (ArithmeticError, ValueError, TypeError):
        pass
    raise Refused(f"{value!r:.40} is not a number; write it like 1234.5, with a point")


def _short(value: Any) -> str:
    if value is not None and not isinstance(value, str):
        raise Refused(f"{value!r:.60} is not text; put it in quotes")
    short: str = text(60)(value)
    return short


def _refused(wrong: ValidationError) -> Refused:
    return Refused(_CLAUSES[wrong.code or ""] % (wrong.params or {}))
