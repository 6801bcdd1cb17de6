"""Parse quantities and prices with a decimal point or comma. An ambiguous number is refused, not guessed."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Literal

from orderflow.orders.importing.cells import NumberCell

Sign = Literal["point", "comma"]
SIGNS: dict[Sign, str] = {"point": ".", "comma": ","}
OTHER: dict[Sign, Sign] = {"point": "comma", "comma": "point"}

_PLAIN = re.compile(r"[+-]?[0-9.eE+-]{1,60}")
_WHOLE = re.compile(r"[+-]?[0-9]{1,60}")
_SHAPE = {
    sign: re.compile(rf"[+-]?[0-9]*{re.escape(mark)}[0-9]+|[+-]?[0-9]+{re.escape(mark)}")
    for sign, mark in SIGNS.items()
}
# 1.234 may be 1.234 or 1234.
_EITHER = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")
_GROUPED = {
    sign: re.compile(
        rf"[+-]?[1-9][0-9]{{0,2}}(?P<mark>[{re.escape(SIGNS[OTHER[sign]])}' \u00a0\u202f\u2019])[0-9]{{3}}"
        rf"(?:(?P=mark)[0-9]{{3}})*(?:{re.escape(SIGNS[sign])}[0-9]*)?"
    )
    for sign in SIGNS
}


class NotANumber(Exception):
    """The message says what is wrong and what to do."""


@dataclass(slots=True)
class Evidence:
    """Decimal sign that a file's numbers prove: ``10,5`` proves a comma, ``1.234`` proves nothing."""

    seen: Counter[Sign] = field(default_factory=Counter)
    example: dict[Sign, tuple[int, str]] = field(default_factory=dict)
    open: int = 0

    def add(self, line: int, texts: Iterable[str]) -> None:
        for text in texts:
            number = text.strip()
            if isinstance(text, NumberCell) or number.isdigit() or not number:
                continue
            for sign in proves(number):
                self.seen[sign] += 1
                self.example.setdefault(sign, (line, number))
            self.open += _EITHER.fullmatch(number) is not None

    @property
    def sign(self) -> Sign | None:
        return next(iter(self.seen)) if len(self.seen) == 1 else None

    @property
    def contradicts(self) -> bool:
        return len(self.seen) > 1


def proves(text: str) -> list[Sign]:
    """Return the decimal sign that the number proves; empty if it is whole, ambiguous or no number."""
    if not text or text.isdigit() or _EITHER.fullmatch(text):
        return []
    found: list[Sign] = []
    for sign, mark in SIGNS.items():
        grouped = mark in text or text.count(SIGNS[OTHER[sign]]) > 1
        if _SHAPE[sign].fullmatch(text) or (grouped and _GROUPED[sign].fullmatch(text)):
            found.append(sign)
    return found


def parse(text: str, sign: Sign | None, *, stated: bool) -> Decimal:
    """Return the number. Raise `NotANumber`.

    ``stated``: the user said which sign it is, so that groups of three digits are accepted, too.
    """
    if isinstance(text, NumberCell) or _WHOLE.fullmatch(text):
        return _decimal(text, text)
    if sign is None or (not stated and SIGNS[sign] not in text and _EITHER.fullmatch(text)):
        raise NotANumber(_undecided(text))
    if stated and _GROUPED[sign].fullmatch(text):
        return _decimal(re.sub(f"[^0-9{SIGNS[sign]}-]", "", text).replace(",", "."), text)
    if sign == "comma":
        if not _SHAPE["comma"].fullmatch(text):
            raise NotANumber(_not_a_number(text, sign))
        return _decimal(text.replace(",", "."), text)
    if not _PLAIN.fullmatch(text):
        raise NotANumber(_not_a_number(text, sign))
    return _decimal(text, text)


def _decimal(plain: str, text: str) -> Decimal:
    try:
        number = Decimal(plain)
    except InvalidOperation:
        raise NotANumber(_not_a_number(text, "point")) from None
    if not number.is_finite():
        raise NotANumber(_not_a_number(text, "point"))
    return number


def _undecided(text: str) -> str:
    if _EITHER.fullmatch(text):
        whole, small = re.sub("[.,]", "", text), text.replace(",", ".")
        other: Sign = "point" if "." in text else "comma"
        return (
            f"{text!r} can mean {small} or {whole}; say which with --decimal {other} ({small}) "
            f"or --decimal {OTHER[other]} ({whole})"
        )
    if any(_SHAPE[sign].fullmatch(text) for sign in SIGNS):
        return f"{text!r}: the file has numbers with a point and with a comma; say which it is with --decimal"
    return _not_a_number(text, "point")


def _not_a_number(text: str, sign: Sign) -> str:
    what = f"{text[:40]!r} is not a number; write it like 1234{SIGNS[sign]}5, with a {sign}"
    fits = _SHAPE[OTHER[sign]].fullmatch(text) or _GROUPED[OTHER[sign]].fullmatch(text)
    return f"{what}, or say --decimal {OTHER[sign]}" if fits else what
