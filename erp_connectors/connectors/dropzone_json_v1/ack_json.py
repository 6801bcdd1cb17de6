"""The JSON object in an ack file, read leniently and literally: numbers keep the digits they were written with."""

import json
from collections.abc import Iterable
from typing import TypeAlias

from erp_connectors.connectors.base import AckUnreadable

EXAMPLE = '{"status": "ACKED", "erp_order_id": "SO-1"}'


class Integer(str):
    """A whole number, as it was written."""

    __slots__ = ()


class Fraction(str):
    """A number with a point or an exponent, as it was written."""

    __slots__ = ()


class Constant(str):
    """NaN or Infinity: not JSON, but tolerated in values that are not read."""

    __slots__ = ()


class _Pairs(list[tuple[str, object]]):
    """A JSON object with all its keys, doubled ones too."""

    __slots__ = ()


Scalar: TypeAlias = str | bool | None


def read_object(text: str, wanted: Iterable[str]) -> dict[str, object]:
    """Return the wanted keys, ignoring case. Raises `AckUnreadable`, also if a key has two values."""
    try:
        pairs = _DECODER.decode(text)
    except RecursionError:
        raise AckUnreadable(f"it is nested too deeply; write one plain object like {EXAMPLE}") from None
    except json.JSONDecodeError as error:
        raise AckUnreadable(_explain(text, error), unfinished=_breaks_off(text, error)) from None
    if not isinstance(pairs, _Pairs):
        raise AckUnreadable(f"it is JSON, but not an object; write one like {EXAMPLE}")
    known = frozenset(wanted)
    found: dict[str, object] = {}
    for key, value in pairs:
        name = key.strip().lower()
        if name not in known:
            continue
        if name in found and not _same(found[name], value):
            raise AckUnreadable(f'"{name}" is there twice with different values; write it once')
        found[name] = value
    return found


# Control characters inside texts are tolerated: line breaks in messages are common, and mean no harm.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_Pairs, parse_int=Integer, parse_float=Fraction, parse_constant=Constant, strict=False
)


def _same(one: object, other: object) -> bool:
    # Lists and objects are no values of any key that is read; comparing them could cost much.
    return isinstance(one, Scalar) and isinstance(other, Scalar) and type(one) is type(other) and one == other


def _breaks_off(text: str, error: json.JSONDecodeError) -> bool:
    return _ends_in_the_middle(text, error) or not text.endswith("}")


def _ends_in_the_middle(text: str, error: json.JSONDecodeError) -> bool:
    return error.pos >= len(text) or error.msg.startswith("Unterminated")


def _explain(text: str, error: json.JSONDecodeError) -> str:
    if not text:
        return f"it is empty; write one JSON object like {EXAMPLE}"
    if _ends_in_the_middle(text, error):
        return (
            f"it ends in the middle (line {error.lineno}): not JSON yet; write the whole object, best under a name "
            "that ends in .tmp, and rename the file when it is complete"
        )
    if error.msg.startswith("Extra data"):
        return (
            f"something follows the first JSON value (line {error.lineno}, column {error.colno}); "
            "write one object to a file, and nothing behind it"
        )
    return (
        f"it is not JSON: {error.msg} at line {error.lineno}, column {error.colno}; "
        f"write one object like {EXAMPLE}, texts in double quotes"
    )
