"""One value of a file at a time. What is absent (null, empty) is not wrong here: a READY order is another question."""

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from orderflow.orders.states import Uom

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_BREAK = re.compile(r"[\r\n]")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_NUMBER = re.compile(r"[0-9.eE+-]{1,60}")
_CURRENCY = re.compile(r"[A-Z]{3}")


class Refused(Exception):
    """What is wrong with a value, and what to write instead."""


def text(longest: int, *, lines: bool = False) -> Callable[[Any], str]:
    def convert(value: Any) -> str:
        if value is None:
            return ""
        if not isinstance(value, str):
            raise Refused(f"{value!r:.60} is not text; put it in quotes")
        if _UNSTORABLE.search(value):
            raise Refused("holds characters that are not UTF-8, or NUL; save the file as UTF-8")
        if len(value) > longest:
            raise Refused(f"has {len(value)} characters, {longest} at most")
        if not lines and _BREAK.search(value):
            raise Refused("has a line break; write it in one line")
        return value.strip()

    return convert


def required_text(longest: int) -> Callable[[Any], str]:
    convert = text(longest)

    def required(value: Any) -> str:
        converted = convert(value)
        if not converted:
            raise Refused(
                "is missing; by customer and order number an order is known when it is imported again"
            )
        return converted

    return required


def day(value: Any) -> date | None:
    written = _short(value)
    if not written:
        return None
    try:
        if _DAY.fullmatch(written):
            return date.fromisoformat(written)
    except ValueError:
        pass
    raise Refused(f"{written!r} is not a date; write it like 2026-11-02")


def currency(value: Any) -> str:
    written = _short(value)
    if written and not _CURRENCY.fullmatch(written):
        raise Refused(f"{written!r} is not a currency; write an ISO 4217 code like EUR")
    return written


def uom(value: Any) -> str:
    written = _short(value)
    if written and written not in Uom.values:
        raise Refused(f"{written!r} is not a unit; write one of {' '.join(Uom.values)}")
    return written


def line_no(value: Any) -> int | None:
    if value is None or value == "":
        return None
    written = str(value)
    if isinstance(value, bool) or not re.fullmatch(r"[1-9][0-9]{0,5}", written):
        raise Refused(f"{written[:30]!r} is not a line number; write 1 to 999999")
    return int(written)


def quantity(value: Any) -> Decimal:
    return _number(value, places=3) or Decimal(0)


def price(value: Any) -> Decimal | None:
    return _number(value, places=4)


def _number(value: Any, *, places: int) -> Decimal | None:
    if value is None or value == "":
        return None
    try:
        # Decimal itself would take 1_000, and digits of every script.
        if isinstance(value, bool) or not _NUMBER.fullmatch(str(value)):
            raise InvalidOperation
        number = Decimal(value)
        if not number.is_finite():
            raise InvalidOperation
    except (InvalidOperation, ValueError):
        raise Refused(f"{value!r:.40} is not a number; write it like 1234.5, with a point") from None
    whole = 18 - places
    if number and number.adjusted() >= whole:
        raise Refused(f"{number:.40} is too big; {whole} digits before the point at most")
    scaled = number.quantize(Decimal(1).scaleb(-places))
    if scaled != number:
        raise Refused(f"{value!s:.40} has more than {places} decimals; they would be lost")
    return scaled


def _short(value: Any) -> str:
    if value is not None and not isinstance(value, str):
        raise Refused(f"{value!r:.60} is not text; put it in quotes")
    return text(60)(value)
