"""Cells of a spreadsheet that are numbers, dates or booleans, as subclasses of str."""

from decimal import Decimal
from typing import Any

# A spreadsheet keeps 15 digits of a number.
MAX_DIGITS = 15


class NumberCell(str):
    """A number with all its digits and a decimal point. ``shown``: what its format shows, if that is another text."""

    shown: str | None = None


class DateCell(str):
    """A day as 2026-11-02; a time of day is left out."""

    __slots__ = ()


class BooleanCell(str):
    __slots__ = ()


def cell(value: Any) -> str:
    """Return the text of one cell's value."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return BooleanCell("TRUE" if value else "FALSE")
    if isinstance(value, Decimal | int | float):
        return NumberCell(_digits(Decimal(value)))
    if isinstance(value, dict) and "day" in value:
        return DateCell(str(value["day"])[:10])
    if isinstance(value, dict):
        number = cell(value["number"])
        if isinstance(number, NumberCell):
            number.shown = value["shown"]
        return number
    return str(value)


def as_shown(text: str) -> str:
    """Return what a user sees in the cell of a key: 00004711 if a format shows the number 4711 so."""
    return text.shown or text if isinstance(text, NumberCell) else text


def _digits(number: Decimal) -> str:
    """Return the digits without errors of binary arithmetic: 3.3 for 3.3000000000000003."""
    if not number.is_finite():
        return str(number)
    shown = Decimal(f"{number:.{MAX_DIGITS}g}")
    whole = shown == shown.to_integral_value()
    return f"{shown.quantize(Decimal(1)):f}" if whole and shown.adjusted() < 25 else f"{shown.normalize():f}"
