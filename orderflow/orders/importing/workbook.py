"""Read workbooks (.xlsx, .ods), unpacked to lines of JSON by a separate process.

A small workbook can expand to gigabytes, or have a cell in the last row of the last column. The separate process has
limits of memory, time and output, so that such a file ends only that process.
"""

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import msgspec

import orderflow
from orderflow.orders.importing.cells import cell
from orderflow.orders.importing.documents import Unreadable
from orderflow.orders.importing.limits import LONGEST_ROW, MAX_ROWS, MB, FileTooLarge, count
from orderflow.orders.importing.tables import Table, TableRow

MAX_EXPANDED = 512 * MB
# Of the process that reads it: address space, output and processor time.
MAX_MEMORY, MAX_OUTPUT, MAX_SECONDS = 1536 * MB, 1024 * MB, 120
_ROOT = Path(orderflow.__file__).parents[1]
_decoder = msgspec.json.Decoder(list[Any], float_hook=Decimal)


class BadWorkbook(Exception):
    """The message says what is wrong and what to do."""


@contextmanager
def unpacked(path: Path, sheet: str | None) -> Iterator[IO[bytes]]:
    """Yield a file with the rows of one sheet as lines of JSON. Raise `BadWorkbook`, `FileTooLarge`."""
    _require_moderate(path)
    with TemporaryFile() as rows:
        _run(path, sheet, rows)
        rows.seek(0)
        yield rows


def workbook(rows: IO[bytes], kind: str) -> Table:
    rows.seek(0)
    name = str(_decoder.decode(rows.readline())[0])
    header = next((row for row in _rows(rows) if any(text.strip() for text in row.cells)), None)
    start = 0 if header is None else header.line

    def below() -> Iterator[TableRow | Unreadable]:
        return (row for row in _rows(rows) if row.line > start)

    return Table(header, below, (("format", f"{kind} workbook, sheet {name!r}"),))


def _rows(rows: IO[bytes]) -> Iterator[TableRow]:
    rows.seek(0)
    rows.readline(LONGEST_ROW)  # the sheet's name
    number = 0
    while line := rows.readline(LONGEST_ROW):
        if len(line) == LONGEST_ROW:
            raise FileTooLarge(f"row {number + 1} is longer than {LONGEST_ROW // MB} MB")
        number = count(number, MAX_ROWS, "rows")
        yield TableRow(number, [cell(value) for value in _decoder.decode(line)])


def _require_moderate(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as packed:
            expanded = sum(entry.file_size for entry in packed.infolist())
    except zipfile.BadZipFile as error:
        raise BadWorkbook(f"it is damaged ({error}); save the workbook again") from None
    if expanded > MAX_EXPANDED:
        raise FileTooLarge(f"it expands to more than {MAX_EXPANDED // MB} MB; save it as CSV, or split it")


def _run(path: Path, sheet: str | None, rows: IO[bytes]) -> None:
    limits = [str(MAX_MEMORY), str(MAX_OUTPUT), str(MAX_SECONDS)]
    program = [sys.executable, "-P", "-s", "-m", "orderflow.orders.unpack_workbook"]
    # Our environment holds secrets; the process needs none of them.
    environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    try:
        done = subprocess.run(
            [*program, str(path), sheet or "", *limits],
            stdout=rows,
            stderr=subprocess.PIPE,
            env=environment | {"PYTHONPATH": str(_ROOT)},
            check=False,
            timeout=2 * MAX_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise FileTooLarge(_too_much("time")) from None
    said = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode == REFUSED:
        raise BadWorkbook(said)
    if done.returncode < 0 or "MemoryError" in said:
        raise FileTooLarge(_too_much("memory or time"))
    if done.returncode:
        raise BadWorkbook(f"it can't be read ({said.splitlines()[-1] if said else 'no reason given'})")


def _too_much(what: str) -> str:
    return f"reading it takes too much {what}; save it as CSV, or split it"


# Exit code of `unpack_workbook` if stderr says what is wrong with the file.
REFUSED = 3
