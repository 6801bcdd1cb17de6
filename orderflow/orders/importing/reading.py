"""Read a file of any format and size as orders, one at a time, and describe it."""

import gzip
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from orderflow.orders.importing.amounts import Sign
from orderflow.orders.importing.columns import BadColumns, ColumnMap, match
from orderflow.orders.importing.dates import DateFormat, date_format
from orderflow.orders.importing.delimited import delimited
from orderflow.orders.importing.documents import Problem, RawOrder, Unreadable
from orderflow.orders.importing.encodings import encoding_of, shown
from orderflow.orders.importing.file_description import FileDescription, describe_json, describe_table
from orderflow.orders.importing.formats import WORKBOOKS, Format, UnknownFormat, format_of, is_gzipped
from orderflow.orders.importing.json_lines import json_orders
from orderflow.orders.importing.limits import MAX_ORDERS, Bounded, count
from orderflow.orders.importing.rows import TableScan, as_orders, scan
from orderflow.orders.importing.tables import Table
from orderflow.orders.importing.values import Conventions
from orderflow.orders.importing.workbook import unpacked, workbook

# Options that do not apply to a format. A workbook states its own encoding.
_UNUSED = {"jsonl": ("columns", "decimal", "date-format", "sheet"), "csv": ("sheet",)}


class Options(NamedTuple):
    """Options of the user about a file. None: recognise it, or refuse the file with a suggestion."""

    format: Format | None = None
    encoding: str | None = None
    decimal: Sign | None = None
    dates: DateFormat | None = None
    columns: ColumnMap | None = None
    sheet: str | None = None


class Reading(NamedTuple):
    """``share`` is how much of the file has been read, from 0 to 1."""

    path: Path
    conventions: Conventions
    description: FileDescription
    orders: Iterator[RawOrder | Unreadable]
    share: Callable[[], float]


@contextmanager
def reading(path: Path, options: Options) -> Iterator[Reading]:
    """Open a file. Raise `UnknownFormat`, `UnknownEncoding`, `BadWorkbook`, `FileTooLarge`.

    Iterating over ``orders`` raises `FileTooLarge` only.
    """
    format_ = format_of(path, options.format)
    _require_fitting(options, format_)
    file = _File(path)
    if format_ == "jsonl":
        with file.open() as data:
            encoding = encoding_of(data.read(400), options.encoding)
        with file.open() as data:
            orders = _limited(json_orders(data, encoding))
            yield Reading(path, Conventions(), describe_json(shown(encoding)), orders, file.share)
    elif format_ in WORKBOOKS:
        with unpacked(path, options.sheet) as rows:
            yield _of_table(path, options, workbook(rows, format_), lambda: _share(rows))
    else:
        yield _of_table(path, options, delimited(file.open, options.encoding), file.share)


def _require_fitting(options: Options, format_: Format) -> None:
    """Raise `UnknownFormat` if an option would be ignored."""
    values = options._asdict() | {"date-format": options.dates}
    unused = _UNUSED.get(format_, ("encoding",))
    if given := [f"--{name}" for name in unused if values[name] is not None]:
        verb = "does" if len(given) == 1 else "do"
        raise UnknownFormat(f"{', '.join(given)} {verb} not apply to a file of the format {format_}.")


class _File:
    """A file that may be gzipped, and is opened for each reading; its position on disk is the progress."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._raw: IO[bytes] | None = None

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        with self._path.open("rb") as self._raw:
            gzipped = is_gzipped(self._raw.read(2))
            self._raw.seek(0)
            data: Any = gzip.GzipFile(fileobj=self._raw) if gzipped else self._raw
            yield io.BufferedReader(Bounded(data))

    def share(self) -> float:
        return _share(self._raw) if self._raw and not self._raw.closed else 1.0


def _share(file: IO[bytes]) -> float:
    size = os.fstat(file.fileno()).st_size
    return min(file.tell() / size, 1.0) if size else 1.0


def _of_table(path: Path, options: Options, table: Table, share: Callable[[], float]) -> Reading:
    if table.header is None:
        return Reading(path, Conventions(), FileDescription(), iter(()), share)
    try:
        columns = match(table.header.cells, options.columns)
    except BadColumns as wrong:
        header = Unreadable(Problem(table.header.line, "the header", str(wrong)))
        return Reading(path, Conventions(), FileDescription(), iter([header]), share)
    scanned = scan(table, columns)
    conventions = _conventions(options, table, scanned)
    orders = _limited(as_orders(table, columns, scanned.unsafe))
    return Reading(path, conventions, describe_table(table, columns, scanned, conventions), orders, share)


def _conventions(options: Options, table: Table, scanned: TableScan) -> Conventions:
    mapping = options.columns
    stated = options.decimal or (mapping.decimal if mapping else None)
    dates = options.dates
    if dates is None and mapping and mapping.date_format:
        dates = date_format(mapping.date_format)
    sign = stated or ("point" if table.point_is_usual else scanned.numbers.sign)
    known = {} if dates is None else {"dates": dates}
    return Conventions(sign=sign, stated=stated is not None, is_table=True, **known)


def _limited(orders: Iterator[RawOrder | Unreadable]) -> Iterator[RawOrder | Unreadable]:
    read = 0
    for one in orders:
        if isinstance(one, RawOrder):
            read = count(read, MAX_ORDERS, "orders")
        yield one
