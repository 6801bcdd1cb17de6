"""A file as a table: rows of text with their line numbers, for each format."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from orderflow.orders.importing.documents import Unreadable


class TableRow(NamedTuple):
    """``line`` of the file, or the row's number in a sheet."""

    line: int
    cells: list[str]


# Each call reads the file from its beginning.
Rows = Callable[[], Iterator["TableRow | Unreadable"]]


class Table(NamedTuple):
    """``header``: the first row that holds something, None if there is none. ``layout``: how it was read, in words.

    ``point_is_usual``: numbers have a decimal point, without further evidence. ``refuses_short_rows``: a row with fewer
    cells than the header was cut or has a quote too many.
    """

    header: TableRow | None
    rows: Rows
    layout: tuple[tuple[str, str], ...]
    point_is_usual: bool = False
    refuses_short_rows: bool = False


def trimmed(cells: list[str]) -> list[str]:
    """Return the cells without empty ones at the end."""
    last = len(cells)
    while last and not cells[last - 1].strip():
        last -= 1
    return cells[:last]
