"""Parse dates by a format of YYYY, YY, MM and DD."""

import re
from datetime import date
from typing import NamedTuple

ISO = "YYYY-MM-DD"
_TOKENS = {"YYYY": r"(?P<year>[0-9]{4})", "YY": r"(?P<short>[0-9]{2})", "MM": r"(?P<month>[0-9]{1,2})"}
_TOKENS |= {"DD": r"(?P<day>[0-9]{1,2})"}
_TOKEN = re.compile("YYYY|YY|MM|DD")
_PERCENT = {"%Y": "YYYY", "%y": "YY", "%m": "MM", "%d": "DD"}
# A time of day after the date is ignored.
_TIME = (
    r"(?:[T ]+[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?(?: ?[AaPp][Mm])?"
    r"(?: ?(?:Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2}))?)?"
)
_CENTURY = 2000


class BadFormat(ValueError):
    """The message says how to write a format."""


class DateFormat(NamedTuple):
    name: str
    pattern: "re.Pattern[str]"

    def parse(self, text: str) -> date:
        """Return the date; ignore a time of day after it. Raise ValueError."""
        found = self.pattern.fullmatch(text)
        if found is None:
            raise ValueError(text)
        parts = found.groupdict()
        year = int(parts["year"]) if parts.get("year") else _CENTURY + int(parts["short"])
        return date(year, int(parts["month"]), int(parts["day"]))


def date_format(name: str) -> DateFormat:
    """Return the format of this name, such as DD.MM.YYYY or %d.%m.%Y. Raise `BadFormat`."""
    letters = re.sub("%[Yymd]", lambda found: _PERCENT[found[0]], name.strip())
    tokens = _TOKEN.findall(letters.upper())
    if sorted(token[0] for token in tokens) != ["D", "M", "Y"]:
        raise BadFormat(
            f"{name!r} is not a date format; write it with YYYY (or YY), MM and DD, such as DD.MM.YYYY"
        )
    between = _TOKEN.split(letters.upper())
    pattern = re.escape(between[0])
    for token, piece in zip(tokens, between[1:], strict=True):
        pattern += _TOKENS[token] + re.escape(piece)
    if "" in between[1:-1]:
        pattern = pattern.replace("{1,2}", "{2}")  # digits beside digits
    return DateFormat(letters.upper(), re.compile(pattern + _TIME))


def suggestion(text: str) -> str:
    """Return the option that would read this date, as the end of a message; empty if there is none."""
    found = re.match(r"([0-9]{1,4})([./-])([0-9]{1,2})\2([0-9]{2,4})(?![0-9])", text)
    if found and len(found[1]) == 4:
        return f"; if it is a date: --date-format YYYY{found[2]}MM{found[2]}DD" if found[2] != "-" else ""
    if found and len(found[1]) <= 2:
        return _day_or_month_first(
            int(found[1]), int(found[3]), found[2], "YYYY" if len(found[4]) == 4 else "YY"
        )
    if re.fullmatch("20[0-9]{6}", text):
        return "; if it is a date: --date-format YYYYMMDD"
    return ""


def _day_or_month_first(first: int, second: int, mark: str, year: str) -> str:
    day_first, month_first = f"DD{mark}MM{mark}{year}", f"MM{mark}DD{mark}{year}"
    if first > 12 or mark == ".":
        return f"; if it is a date: --date-format {day_first}"
    if second > 12:
        return f"; if it is a date: --date-format {month_first}"
    return f"; say which it is: --date-format {day_first} or --date-format {month_first}"
