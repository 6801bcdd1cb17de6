"""Patterns of numbers and dates: ASCII digits, a decimal point, no separators between the digits."""

import re

# Python's own conversions also accept 1_000, 1e3, surrounding blanks and the digits of every script.
DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")
WHOLE = re.compile(r"-?[0-9]+")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def decimal_pattern(whole_digits: int, decimals: int) -> str:
    """Return the pattern of a decimal number as text, for OpenAPI."""
    return rf"^-?[0-9]{{1,{whole_digits}}}(\.[0-9]{{1,{decimals}}})?$"
