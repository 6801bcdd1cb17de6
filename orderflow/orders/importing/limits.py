"""Limits of an import file. They apply to the expanded content: 3 MB of gzip can become gigabytes."""

import io
from collections.abc import Iterator
from typing import IO, Any

MB = 1024 * 1024
MAX_BYTES = 8 * 1024 * MB
MAX_ROWS = 10_000_000
MAX_ORDERS = 1_000_000
# An order: a line of JSON, or the rows of CSV.
MAX_LINES_OF_ORDER = 10_000
LONGEST_LINE = 8 * MB
LONGEST_ROW = 1 * MB


class FileTooLarge(Exception):
    """The rest of the file was not read."""


class Bounded(io.RawIOBase):
    """Read a stream up to `MAX_BYTES`; raise `FileTooLarge` beyond."""

    def __init__(self, data: IO[bytes]) -> None:
        self._data, self._left = data, MAX_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._data.read(len(buffer))
        self._left -= len(chunk)
        if self._left < 0:
            raise FileTooLarge(f"it holds more than {MAX_BYTES // MB // 1024} GB; split it")
        buffer[: len(chunk)] = chunk
        return len(chunk)


class RowLines:
    """Yield the lines of a text to csv.reader; call `next_row` after each row. Raise `FileTooLarge` for a long row."""

    def __init__(self, text: io.TextIOWrapper, *, line: int) -> None:
        """``line``: number of the line that was read last, the header's."""
        self._text = text
        self._line = line
        self._in_row = self._rows = 0

    def __iter__(self) -> Iterator[str]:
        while line := self._text.readline(LONGEST_ROW + 1):
            self._line += 1
            self._in_row += len(line)
            if self._in_row > LONGEST_ROW:
                raise FileTooLarge(f"the row in line {self._line} is longer than {LONGEST_ROW // MB} MB")
            yield line

    def next_row(self) -> None:
        self._in_row = 0
        self._rows = count(self._rows, MAX_ROWS, "rows")


def count(so_far: int, most: int, what: str) -> int:
    """Return ``so_far`` + 1; raise `FileTooLarge` above ``most``."""
    if so_far >= most:
        raise FileTooLarge(f"it has more than {most:,} {what}; split it")
    return so_far + 1
