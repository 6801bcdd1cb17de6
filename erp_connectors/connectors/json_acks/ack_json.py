"""The JSON object in an ack file, read leniently and literally: numbers keep the digits they were written with."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from erp_connectors.connectors.base import AckUnreadable
from orderflow.messages import Message

SHOWN_KEYS = 10
SHOWN_SIGNS = 40


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


@dataclass(frozen=True, slots=True)
class AckObject:
    """The wanted keys with their values; ``keys``: the first keys of the file, as they are written."""

    fields: Mapping[str, object]
    keys: Sequence[str]


def read_object(text: str, wanted: Iterable[str]) -> AckObject:
    """Return the wanted keys, ignoring case. Raises `AckUnreadable`, also if a key has two values."""
    try:
        pairs = _DECODER.decode(text)
    except RecursionError:
        raise AckUnreadable(Message("ack.nested_too_deeply")) from None
    except json.JSONDecodeError as error:
        raise AckUnreadable(_explain(text, error), unfinished=_breaks_off(text, error)) from None
    if not isinstance(pairs, _Pairs):
        raise AckUnreadable(Message("ack.not_an_object"))
    known = frozenset(wanted)
    found: dict[str, object] = {}
    for key, value in pairs:
        name = key.strip().lower()
        if name not in known:
            continue
        if name in found and not _same(found[name], value):
            raise AckUnreadable(Message("ack.key_twice", key=name))
        found[name] = value
    return AckObject(found, [printable(key) for key, _ in pairs[:SHOWN_KEYS]])


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


def _explain(text: str, error: json.JSONDecodeError) -> Message:
    if not text:
        return Message("ack.empty")
    if _ends_in_the_middle(text, error):
        return Message("ack.cut_off", line=error.lineno)
    if error.msg.startswith("Extra data"):
        return Message("ack.more_after_it", line=error.lineno, column=error.colno)
    return Message("ack.not_json", found=quoted(text[error.pos]), line=error.lineno, column=error.colno)


def quoted(text: str) -> str:
    """Return the start of a text in double quotes."""
    return f'"{printable(text)}"'


def printable(text: str) -> str:
    """Return the start of a text, in which characters that can't be shown or stored are replaced."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text[:SHOWN_SIGNS])
