"""Decode an ack file, in any encoding that an ERP writes. Bytes that fit two encodings are refused, not guessed."""

import json
import re
from dataclasses import dataclass

from erp_connectors.connectors.base import AckUnreadable
from orderflow.messages import Message

# What programs leave behind a text: fixed-length buffers, line ends, the end-of-file mark of DOS.
PADDING = "\0\x1a \t\r\n\ufeff"

# Umlauts as they look in UTF-8, found in a file that is not UTF-8 as a whole: two encodings in one file.
_PIECES_OF_UTF8 = re.compile(rb"[\xc2-\xc9][\x80-\xbf]|\xe2[\x80-\x84][\x80-\xbf]")
# ä and ö of DOS are quotation marks in Windows-1252, where none stands inside a word.
_UMLAUTS_OF_DOS = re.compile(rb"[A-Za-z][\x84\x94][A-Za-z\xe1]")


@dataclass(frozen=True, slots=True)
class AckText:
    """``guessed``: the bytes don't prove the encoding, so nothing but ASCII may decide anything."""

    text: str
    guessed: bool = False


def decode(body: bytes) -> AckText:
    """Decode UTF-8, UTF-16 or UTF-32 with or without a byte order mark, else Windows-1252. Raises `AckUnreadable`."""
    encoding = json.detect_encoding(body)
    try:
        return AckText(body.decode(encoding).strip(PADDING))
    except UnicodeDecodeError as error:
        if not encoding.startswith("utf-8"):
            raise AckUnreadable(
                Message("ack.wrong_encoding", encoding=encoding.upper(), byte=error.start),
                # Half of a two-byte character at the end is what a file looks like while it is written.
                unfinished=error.end >= len(body),
            ) from None
        return AckText(_windows(body, error.start).strip(PADDING), guessed=True)


def _windows(body: bytes, where: int) -> str:
    """Decode Windows-1252; Latin-1 differs only in control characters."""
    if _PIECES_OF_UTF8.search(body):
        raise AckUnreadable(Message("ack.two_encodings", byte=where))
    try:
        text = body.decode("cp1252")
    except UnicodeDecodeError:
        text = None
    if text is None or _UMLAUTS_OF_DOS.search(body):
        raise AckUnreadable(Message("ack.unknown_encoding", byte=where))
    return text
