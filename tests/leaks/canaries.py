"""Secrets that are like no other text, and every spelling in which one of them could turn up."""

import base64
import re
import secrets
import string
from urllib.parse import quote

PREFIX = 12  # as much of a secret as counts as a leak


class Canary:
    """One secret; ``value`` also holds signs that encodings change."""

    def __init__(self, kind: str, value: str = "", *, belongs: tuple[str, ...] = ()) -> None:
        self.kind, self.belongs = kind, belongs
        self.value = value or random_text(30) + '"ü/' + random_text(30)
        self._spellings = {name: text for name, text in spellings(self.value).items() if len(text) >= PREFIX}

    def found_in(self, text: str) -> list[str]:
        """The names of the spellings in ``text``."""
        return [name for name, spelt in self._spellings.items() if spelt in text]


def random_text(length: int) -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))


def spellings(value: str) -> dict[str, str]:
    """Whole, halved and begun, as text and as encoded; base64 at each of the three places it can begin at."""
    raw, half = value.encode(), len(value) // 2
    found = {
        "whole": value,
        "first half": value[:half],
        "second half": value[half:],
        f"first {PREFIX}": value[:PREFIX],
        "url": quote(value, safe=""),
        "hex": raw.hex(),
        "HEX": raw.hex().upper(),
        "repr": repr(value)[1:-1],
        "ascii": ascii(value)[1:-1],
    }
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + raw).decode()
        # The signs at either end also depend on the neighbours.
        kept = encoded[4 if shift else 0 : -4]
        found[f"base64 +{shift}"] = kept
        found[f"base64url +{shift}"] = kept.translate(str.maketrans("+/", "-_"))
    return found


def body_of(pem: str) -> str:
    """A private key without its first lines, which all keys of a kind have in common."""
    lines = [line for line in pem.splitlines() if not line.startswith("-----")]
    return re.sub(r"\s", "", "".join(lines))[-80:]
