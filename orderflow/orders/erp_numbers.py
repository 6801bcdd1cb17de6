"""Recognise placeholders that an ERP sends in place of an ERP number."""

import re

# Compared in lower case and without punctuation, so that "N/A", "n.a." and "-n/a-" are one.
PLACEHOLDERS = frozenset(
    {
        "", "na", "nan", "nil", "null", "none", "no", "unknown", "undefined", "empty", "tbd", "tba", "todo", "test",
        "dummy", "pending", "new", "ok", "yes", "true", "false", "error", "x", "xx", "xxx", "xxxx", "unbekannt",
        "keine", "kein", "leer", "neu", "offen", "folgt", "nichtvorhanden",
    }
)  # fmt: skip
_SIGNS = re.compile(r"[\W_]+")
_REPEATED = re.compile("0+|9{4,}")


def is_placeholder(number: str) -> bool:
    """Return True for "N/A", "0", "000", "-", "null" and the like."""
    plain = _SIGNS.sub("", number.casefold())
    return plain in PLACEHOLDERS or _REPEATED.fullmatch(plain) is not None
