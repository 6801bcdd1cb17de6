"""Find the encoding of a file: as the user says, by its byte order mark, or by the zero bytes of UTF-16."""

import codecs
from typing import NamedTuple

USUAL = ("utf-8", "utf-16", "windows-1252", "iso-8859-1", "iso-8859-15", "cp850", "mac-roman")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class UnknownEncoding(ValueError):
    """The message says which encoding to choose."""


class Encoding(NamedTuple):
    """``how``: how the encoding was found, in words."""

    name: str
    how: str

    @property
    def errors(self) -> str:
        """Return `surrogateescape` if possible, so that the check of a field finds a wrong byte and names the field."""
        return "strict" if self.name.startswith(("utf-16", "utf-32")) else "surrogateescape"


def encoding_of(head: bytes, stated: str | None) -> Encoding:
    """Return the encoding of a file that begins with ``head``. Raise `UnknownEncoding`."""
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if stated is not None:
        return Encoding(_codec(stated), "as --encoding says")
    if marked:
        return Encoding(marked, "by its byte order mark")
    if b"\0" in head[:100]:
        return Encoding("utf-16-le" if head[:1] != b"\0" else "utf-16-be", "by its zero bytes")
    return Encoding("utf-8", "the default")


def shown(encoding: Encoding) -> str:
    name = {"utf-8-sig": "UTF-8", "utf-8": "UTF-8", "cp1252": "Windows-1252"}.get(
        encoding.name, encoding.name
    )
    return f"{name if name != encoding.name else name.upper()}, {encoding.how}"


def _codec(name: str) -> str:
    wrong = f"there is no encoding {name!r}; usual ones are {', '.join(USUAL)}"
    try:
        found = codecs.lookup(name)
        "".encode(found.name)
    except (LookupError, UnicodeError, ValueError):
        raise UnknownEncoding(wrong) from None
    # Drop the mark if there is one: a table's first column would begin with it.
    return {"utf-8": "utf-8-sig"}.get(found.name, found.name)
