"""JSON whose objects have each key once: of two values, the one that is dropped may be the one that was meant."""

import json
from typing import Any

import msgspec


class DuplicateKey(ValueError):
    """A key is there twice in one object."""


def decode(text: bytes, decoder: "msgspec.json.Decoder[Any]") -> Any:
    """Raise `msgspec.DecodeError`, `RecursionError` or `DuplicateKey`."""
    value = decoder.decode(text)
    # msgspec keeps the last value in silence. What it accepted is valid, so that this pass looks at keys only.
    json.loads(text, object_pairs_hook=_require_unique, parse_int=len, parse_float=len)
    return value


def _require_unique(pairs: list[tuple[str, object]]) -> None:
    names = {name for name, _ in pairs}
    if len(names) == len(pairs):
        return
    for name, _ in pairs:
        if name not in names:
            raise DuplicateKey(f"the key {name[:60]!r} is there twice in one object; send it once")
        names.discard(name)
