"""Translate sentences that the program raises or records in English, when a page shows them.

Records, logs and the API are in English, pages in the user's language. A text that fits no sentence stays as it is.
"""

import re
from collections.abc import Callable, Iterable

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from orderflow.orders.states import DraftStatus

_PLACE = re.compile(r"%\((\w+)\)s")
STATUSES = frozenset({"status", "to"})
PARTS, VALUE = "parts", "value"

OF_ORDERS = (
    gettext_noop("customer is missing"),
    gettext_noop("currency is missing"),
    gettext_noop("it has no lines"),
    gettext_noop("line %(n)s: quantity must be above 0"),
    gettext_noop("line %(n)s: unit is missing"),
    gettext_noop("line %(n)s: SKU is missing"),
    gettext_noop("Order %(order)s is not ready: %(parts)s."),
    gettext_noop("Order %(order)s is %(status)s; only a READY order can be approved."),
    gettext_noop("Order %(order)s is %(status)s; only an order in review can be marked ready."),
    gettext_noop("Order %(order)s is %(status)s; only an order in review can be rejected."),
    gettext_noop("Order %(order)s is %(status)s and can't be changed any more."),
    gettext_noop("Order %(order)s is %(status)s and can't be deleted."),
    gettext_noop("Order %(order)s was approved before and can't be deleted. Reject it instead."),
    gettext_noop("Order %(order)s is no longer %(status)s."),
    gettext_noop("An order can't go from %(status)s to %(to)s."),
)


def speaker(sentences: Iterable[str]) -> Callable[[object], str]:
    """Return a function that translates any of these sentences. The first that fits counts."""
    known = [(_pattern(sentence), sentence) for sentence in sentences]

    def say(text: object) -> str:
        english = str(text)
        for pattern, sentence in known:
            if found := pattern.fullmatch(english):
                return _(sentence) % {name: _value(name, value) for name, value in found.groupdict().items()}
        return english

    def _value(name: str, value: str) -> str:
        if name == PARTS:
            return "; ".join(say(part) for part in value.split("; "))
        if name == VALUE:
            return say(value)
        if name in STATUSES and value in DraftStatus.values:
            return str(DraftStatus(value).label)
        return value

    return say


def _pattern(sentence: str) -> re.Pattern[str]:
    pieces = _PLACE.split(sentence)
    # Every second piece is the name of a place.
    return re.compile(
        "".join(f"(?P<{piece}>.+?)" if n % 2 else re.escape(piece) for n, piece in enumerate(pieces)),
        re.DOTALL,
    )


said = speaker(OF_ORDERS)
