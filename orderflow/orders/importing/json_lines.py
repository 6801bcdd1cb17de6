"""Read JSON lines: one order per line, as an object. Only one order at a time is in memory."""

import io
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import IO, Any

import msgspec

from orderflow.input_rules.strict_json import decode
from orderflow.orders.importing.documents import Problem, RawOrder, Unreadable
from orderflow.orders.importing.encodings import Encoding
from orderflow.orders.importing.limits import LONGEST_LINE, MAX_ROWS, MB, count

# Numbers keep their digits: a float would not.
_decoder = msgspec.json.Decoder(float_hook=Decimal)
_ReadLine = Callable[[int], bytes]


def json_orders(data: IO[bytes], encoding: Encoding) -> Iterator[RawOrder | Unreadable]:
    read = _reader(data, encoding)
    number = 0
    try:
        while line := read(LONGEST_LINE):
            number = count(number, MAX_ROWS, "lines")
            if len(line) >= LONGEST_LINE:
                _skip_rest(read, line)
                what = f"an order may have {LONGEST_LINE // MB} MB at most; split it"
                yield Unreadable(Problem(number, "the whole line", what))
            elif line.strip(b" \t\r\n\xef\xbb\xbf"):
                yield _order(number, line.removeprefix(b"\xef\xbb\xbf"))
    except UnicodeError as error:
        what = (
            f"is not {encoding.name.upper()} ({error}); nothing from here on was read: save the file as UTF-8"
        )
        yield Unreadable(Problem(number + 1, "the whole line", what))


def _reader(data: IO[bytes], encoding: Encoding) -> _ReadLine:
    """Return a function that reads one line as UTF-8."""
    if encoding.name.startswith("utf-8"):
        return data.readline
    text = io.TextIOWrapper(data, encoding=encoding.name, newline="\n")
    return lambda most: text.readline(most).encode()


def _order(number: int, line: bytes) -> RawOrder | Unreadable:
    try:
        value: Any = decode(line, _decoder)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        what = f"not JSON ({error}); write one order as one object in one line, in UTF-8"
        return Unreadable(Problem(number, "the whole line", what))
    if not isinstance(value, dict):
        return Unreadable(Problem(number, "the whole line", "must be one order as an object: {...}"))
    return RawOrder(number, value)


def _skip_rest(read: _ReadLine, line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = read(1024 * 1024)
