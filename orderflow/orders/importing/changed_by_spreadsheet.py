"""Recognise numbers that a spreadsheet has changed: two different order numbers may look the same afterwards."""

import re

from orderflow.orders.importing.cells import MAX_DIGITS, BooleanCell, DateCell, NumberCell

CHANGED = "a spreadsheet has changed this; format the column as text and export again"

_SHORTENED = r"[+-]?[0-9]+[.,][0-9]+[eE][+-]?[0-9]{1,3}|[+-]?[0-9]+[eE][+-][0-9]{1,3}"
_TOO_NARROW = r"#{2,}"
_ERROR = (
    r"#[A-Z\u00c0-\u00de]+[0-9/]*[!?]|#(?:N/?[ADV]|NAME|REF|VALUE|DIV/0|NUM|NULL|ERROR)[!?]?|Err:[0-9]{3}"
)
_NOTHING = r"(?i:null|<null>|\(null\)|nil|none|nan|nat|<na>|n/a|undefined|inf|-inf|infinity)"
_FORMULA = r"=.*"
_APOSTROPHE = "['\u2018\u2019\u00b4`].*"
_MONTH = "(?:jan|feb|mar|m\u00e4r|mrz|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)[a-z]{0,2}"
_DAY = rf"(?i:[0-9]{{1,2}}[. -]{{1,2}}{_MONTH}\.?)"
_CHANGED = re.compile(
    "|".join(
        f"(?:{one})" for one in (_SHORTENED, _TOO_NARROW, _ERROR, _NOTHING, _FORMULA, _APOSTROPHE, _DAY)
    ),
    re.DOTALL,
)


def is_changed(text: str) -> bool:
    """Return whether a spreadsheet has changed this order number, SKU or customer number."""
    if isinstance(text, DateCell | BooleanCell):
        return True
    if isinstance(text, NumberCell):
        return not text.isdigit() or len(text) > MAX_DIGITS
    return _CHANGED.fullmatch(text.strip()) is not None
