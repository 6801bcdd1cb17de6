"""Allowed characters of a text, and the form in which it is stored."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from unicodedata import normalize

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from orderflow.input_rules import keys

# Characters that XML 1.0 excludes, C1 controls (Windows-1252 read as Latin-1), and the noncharacters of
# four digits.
_IN_NO_TEXT = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\ufdd0-\ufdef\ufffe\uffff"
_LINE_BREAKS = r"\u000a\u000d\u2028\u2029"
_HALF_OF_A_PAIR = r"\ud800-\udfff"

_BREAK = re.compile(f"[{_LINE_BREAKS}]")
_REFUSED = re.compile(f"[{_IN_NO_TEXT}{_HALF_OF_A_PAIR}]")
_ANY_BREAK = re.compile("\r\n|[\r\u2028\u2029]")
# Between two letters of Persian or an Indic script a joiner is part of the spelling.
_JOINERS = "\u200c\u200d"
_INVISIBLE = re.compile(
    f"(?![{_JOINERS}\ufe00-\ufe0f])[{keys.IGNORABLE}]"
    f"|(?<![^\\u0000-\\u007f])[{_JOINERS}]|[{_JOINERS}](?![^\\u0000-\\u007f])"
)


@dataclass(frozen=True, slots=True)
class TextRule:
    """``pattern`` describes the rule in OpenAPI, except for half of a surrogate pair: no JSON text can hold one."""

    pattern: str
    normal: Callable[[str], str]
    has_lines: bool = field(default=False, kw_only=True)

    def clean(self, text: str) -> str:
        """Return the form to store. Raise `ValidationError` on a control character or a line break."""
        self.check(text)
        return self.normal(text)

    def check(self, text: str) -> None:
        """Raise `ValidationError` on a control character or a line break that the rule does not allow."""
        if found := _REFUSED.search(text):
            raise ValidationError(
                _("It contains the character U+%(code)s, which is not allowed. Remove it."),
                code="control_character",
                params={"code": f"{ord(found[0]):04X}"},
            )
        if not self.has_lines and _BREAK.search(text):
            raise ValidationError(_("It contains a line break. Write it in one line."), code="line_break")


def _key(text: str) -> str:
    return keys.normal_form(text.replace("\t", " "))


def _one_line(text: str) -> str:
    text = text.replace("\t", " ")
    return (text if text.isascii() else normalize("NFC", _INVISIBLE.sub("", text))).strip()


def _lines(text: str) -> str:
    return normalize("NFC", _ANY_BREAK.sub("\n", text))


_ONE_LINE_PATTERN = f"^[^{_IN_NO_TEXT}{_LINE_BREAKS}]*$"
# Order number, SKU, customer number, ERP number.
KEY = TextRule(_ONE_LINE_PATTERN, _key)
# A name or a description.
ONE_LINE = TextRule(_ONE_LINE_PATTERN, _one_line)
# Notes.
LINES = TextRule(f"^[^{_IN_NO_TEXT}]*$", _lines, has_lines=True)
