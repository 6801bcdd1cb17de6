"""Files as they come: JSON lines or CSV, plain or gzipped. Whatever their size, one order at a time is in memory."""

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec

from orderflow.orders.importing.documents import Found, Problem, Unreadable
from orderflow.orders.importing.limits import LONGEST_LINE, MB, MOST_ORDERS, MOST_ROWS, Bounded, count
from orderflow.orders.importing.rows import as_orders, incomplete

FORMATS = ("jsonl", "csv")
_ENDINGS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}
# Numbers keep their digits: a float would not.
_decoder = msgspec.json.Decoder(float_hook=Decimal)


class UnknownFormat(Exception):
    """The file's name does not tell what is in it."""


class Source(NamedTuple):
    path: Path
    format: str


class OpenSource(NamedTuple):
    """``raw`` is the file on disk: its position is how far the reading has come, gzipped or not."""

    raw: IO[bytes]
    data: IO[bytes]
    source: Source


def source(path: Path, format_: str | None = None) -> Source:
    """Raises `UnknownFormat`."""
    ending = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    chosen = format_ or _ENDINGS.get(ending.lower())
    if chosen is None:
        raise UnknownFormat(f"{path.name} ends neither in .jsonl nor in .csv: say which it is with --format.")
    return Source(path, chosen)


@contextmanager
def opened(source: Source) -> Iterator[OpenSource]:
    with source.path.open("rb") as raw:
        gzipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        data: Any = gzip.GzipFile(fileobj=raw) if gzipped else raw
        yield OpenSource(raw, io.BufferedReader(Bounded(data)), source)


def orders(file: OpenSource) -> Iterator[Found | Unreadable]:
    """Raises `FileTooLarge` where the file's limits end; what came before is whole."""
    read = 0
    for one in _orders(file):
        if isinstance(one, Found):
            read = count(read, MOST_ORDERS, "orders")
        yield one


def _orders(file: OpenSource) -> Iterator[Found | Unreadable]:
    if file.source.format == "jsonl":
        yield from _json_lines(file.data)
        return
    with opened(file.source) as again:
        unsafe = incomplete(again.data)
    yield from as_orders(file.data, unsafe)


def _json_lines(data: IO[bytes]) -> Iterator[Found | Unreadable]:
    number = 0
    while line := data.readline(LONGEST_LINE):
        number = count(number, MOST_ROWS, "lines")
        if len(line) == LONGEST_LINE:
            _skip_rest(data, line)
            what = f"an order may have {LONGEST_LINE // MB} MB at most; split it"
            yield Unreadable(Problem(number, "the whole line", what))
        elif line.strip(b" \t\r\n\xef\xbb\xbf"):
            yield _json_order(number, line.removeprefix(b"\xef\xbb\xbf"))


def _json_order(number: int, line: bytes) -> Found | Unreadable:
    try:
        value = _decoder.decode(line)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        what = f"not JSON ({error}); write one order as one object in one line, in UTF-8"
        return Unreadable(Problem(number, "the whole line", what))
    if not isinstance(value, dict):
        return Unreadable(Problem(number, "the whole line", "must be one order as an object: {...}"))
    return Found(number, value)


def _skip_rest(data: IO[bytes], line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = data.readline(1024 * 1024)
