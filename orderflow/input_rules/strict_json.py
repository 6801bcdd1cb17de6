"""Decode JSON and refuse duplicate keys: a decoder that keeps one of two values may drop the right one."""

import json
from typing import Any

import msgspec


class DuplicateKey(ValueError):
    """An object has the same key twice."""


def decode(text: bytes, decoder: "msgspec.json.Decoder[Any]") -> Any:
    """Return the decoded value. Raise `msgspec.DecodeError`, `RecursionError` or `DuplicateKey`."""
    value = decoder.decode(text)
    # msgspec silently keeps the last value. The text is valid JSON here, so this pass checks the keys only.
    json.loads(text, object_pairs_hook=_require_unique, parse_int=len, parse_float=len)
    return value


def _require_unique(pairs: list[tuple[str, object]]) -> None:
    names = {name for name, _ in pairs}
    if len(names) == len(pairs):
        return
    for name, _ in pairs:
        if name not in names:
            raise DuplicateKey(f"the key {name[:60]!r} appears twice in one object; send it once")
        names.discard(name)
