"""Read delimited text: comma, semicolon, tab or pipe, in any encoding, optionally after a line ``sep=;``."""

import csv
import io
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import IO, NamedTuple

from orderflow.orders.importing.documents import Problem, Unreadable
from orderflow.orders.importing.encodings import Encoding, UnknownEncoding, encoding_of, shown
from orderflow.orders.importing.limits import LONGEST_ROW, RowLines
from orderflow.orders.importing.tables import Table, TableRow

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
LONGEST_CELL = 1024 * 1024
_SEP = re.compile(r"\s*\"?sep=(.)\"?\s*", re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"')
_BREAK = re.compile("\r\n|\r|\n")
# So few delimiters may stand in a note by chance.
FEW = 3

Open = Callable[[], AbstractContextManager[IO[bytes]]]


class _Layout(NamedTuple):
    encoding: Encoding
    delimiter: str
    # Lines before the header.
    skip: int
    # Cells of the header.
    width: int = 0


def delimited(open_: Open, encoding: str | None) -> Table:
    """Return the table. Raise `UnknownEncoding`, `FileTooLarge`."""
    layout, header = _layout(open_, encoding)
    described = (
        (
            "format",
            f"text with a {DELIMITERS.get(layout.delimiter, repr(layout.delimiter))} between the cells",
        ),
        ("encoding", shown(layout.encoding)),
    )
    return Table(
        header,
        lambda: _rows(open_, layout),
        described,
        point_is_usual=layout.delimiter == ",",
        refuses_short_rows=True,
    )


def _layout(open_: Open, stated: str | None) -> tuple[_Layout, TableRow | None]:
    with open_() as data:
        encoding = encoding_of(data.read(400), stated)
    with open_() as data:
        text = _text(data, encoding)
        delimiter, skip = "", 0
        try:
            while line := text.readline(LONGEST_ROW):
                if found := _SEP.fullmatch(line):
                    delimiter = found[1]
                elif line.strip(" \t\r\n,;|"):
                    delimiter = delimiter or _delimiter(line)
                    cells = _cells(line, delimiter)
                    return _Layout(encoding, delimiter, skip, len(cells)), TableRow(skip + 1, cells)
                skip += 1
        except UnicodeError as error:
            what = f"it is not {encoding.name.upper()} ({error}); say which encoding it is with --encoding"
            raise UnknownEncoding(what) from None
        finally:
            text.detach()
    return _Layout(encoding, ",", skip), None


def _cells(header: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([header], delimiter=delimiter), [])
    except csv.Error:
        return [header]


def _delimiter(header: str) -> str:
    outside = _QUOTED.sub("", header)
    return max(DELIMITERS, key=outside.count)


def _rows(open_: Open, layout: _Layout) -> Iterator[TableRow | Unreadable]:
    """Yield the rows below the header."""
    csv.field_size_limit(LONGEST_CELL)
    with open_() as data:
        text = _text(data, layout.encoding)
        try:
            for _ in range(layout.skip + 1):
                text.readline(LONGEST_ROW)
            yield from _below(text, layout)
        finally:
            text.detach()  # else it would close the file with itself


def _below(text: io.TextIOWrapper, layout: _Layout) -> Iterator[TableRow | Unreadable]:
    lines = RowLines(text, line=layout.skip + 1)
    reader = csv.reader(lines, delimiter=layout.delimiter, strict=True)
    first = line = layout.skip + 2
    try:
        for cells in reader:
            lines.next_row()
            below = reader.line_num + first
            swallowed = _swallowed(line, cells, layout) if below > line + 1 else None
            yield swallowed or TableRow(line, cells)
            line = below
    except csv.Error as error:
        what = f"not CSV ({error}); nothing from here on was read: correct this line and import again"
        yield Unreadable(Problem(line, "the whole line", what))
    except UnicodeError as error:
        what = f"is not {layout.encoding.name.upper()} ({error}); say which encoding it is with --encoding"
        yield Unreadable(Problem(line, "the whole line", what))


def _swallowed(line: int, cells: list[str], layout: _Layout) -> Unreadable | None:
    """Refuse a cell that has exactly the delimiters of rows: a quote before and one behind them made a text of them."""
    for cell in cells:
        breaks = len(_BREAK.findall(cell))
        if breaks and layout.width > FEW and cell.count(layout.delimiter) == breaks * (layout.width - 1):
            what = f"a cell holds what looks like {breaks} more rows: remove the quotes around them, or its line breaks"
            return Unreadable(Problem(line, "the whole line", what))
    return None


def _text(data: IO[bytes], encoding: Encoding) -> io.TextIOWrapper:
    return io.TextIOWrapper(data, encoding=encoding.name, errors=encoding.errors, newline="")
