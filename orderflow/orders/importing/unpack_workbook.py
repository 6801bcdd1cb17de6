"""Write one sheet of a workbook as lines of JSON: its name, then its rows. `workbook` runs this in its own process.

python -I unpack_workbook.py FILE SHEET MEMORY OUTPUT SECONDS (bytes of address space, bytes of output, CPU seconds)
"""

import json
import posixpath
import resource
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from datetime import date, time, timedelta
from typing import Any, NoReturn
from xml.parsers import expat

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

REFUSED = 3
_PIECE = 1024 * 1024
_Cells = dict[tuple[int, int], str]


def main(path: str, sheet: str, *limits: str) -> None:
    memory, output, seconds = map(int, limits)
    for what, most in (
        (resource.RLIMIT_AS, memory), (resource.RLIMIT_FSIZE, output), (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
    ):  # fmt: skip
        _, hardest = resource.getrlimit(what)
        lower = most if hardest == resource.RLIM_INFINITY else min(most, hardest)
        resource.setrlimit(what, (lower, lower))
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # not by its name, which may say another format
            chosen = _sheet(CalamineWorkbook.from_filelike(file), sheet)
        _write(chosen, _errors(path, chosen.name))
    except (CalamineError, expat.ExpatError, zipfile.BadZipFile, KeyError) as error:
        if "limit exceeded" in str(error):
            refuse(
                "has a cell so far from the others that reading it takes too much memory; delete what is empty"
            )
        refuse(f"it can't be read as a workbook ({error}); save it again, without a password, or as CSV")


def refuse(text: str) -> NoReturn:
    sys.stderr.write(text)
    sys.exit(REFUSED)


def _sheet(workbook: CalamineWorkbook, wanted: str) -> CalamineSheet:
    names = [
        sheet.name
        for sheet in workbook.sheets_metadata
        if sheet.typ == SheetTypeEnum.WorkSheet and (wanted or sheet.visible == SheetVisibleEnum.Visible)
    ]
    if wanted:
        if wanted not in names:
            refuse(f"it has no sheet {wanted!r}; it has {', '.join(map(repr, names))}")
        return workbook.get_sheet_by_name(wanted)
    filled = [sheet for name in names if (sheet := workbook.get_sheet_by_name(name)).start is not None]
    if len(filled) > 1:
        named = ", ".join(repr(sheet.name) for sheet in filled)
        refuse(f"it has {len(filled)} sheets: {named}; say which one has the orders with --sheet")
    if not filled:
        refuse("it has no sheet with anything in it")
    return filled[0]


def _write(sheet: CalamineSheet, errors: Mapping[tuple[int, int], str]) -> None:
    write = sys.stdout.write
    write(json.dumps([sheet.name]) + "\n")
    # `iter_rows` begins at the sheet's first row, but at the first column that is not empty.
    _, first_column = sheet.start or (0, 0)
    by_row: dict[int, _Cells] = {}
    for (row_number, column), text in errors.items():
        by_row.setdefault(row_number, {})[row_number, column] = text
    for number, cells in enumerate(sheet.iter_rows()):
        row = [*[None] * first_column, *map(_plain, cells)]
        for (_, column), text in by_row.get(number, {}).items():
            row += [None] * (column + 1 - len(row))
            row[column] = text
        write(json.dumps(row, ensure_ascii=False) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return {"day": value.isoformat()}
    if isinstance(value, time | timedelta):
        return str(value)
    return None if value == "" else value


# calamine returns an empty cell if a formula failed, so that a lost number would look like an absent one.


def _errors(path: str, sheet: str) -> _Cells:
    """Return the error text of each cell whose formula failed, by row and column from 0."""
    with zipfile.ZipFile(path) as packed:
        if "xl/workbook.xml" in packed.namelist():
            return _errors_of_xlsx(packed, _part_of(packed, sheet))
        return _errors_of_ods(packed, sheet)


def _part_of(packed: zipfile.ZipFile, sheet: str) -> str:
    ids: dict[str, str] = {}
    targets: dict[str, str] = {}

    def begin(name: str, attributes: dict[str, str]) -> None:
        if name.rpartition(":")[2] == "sheet":
            ids[attributes["name"]] = next((v for k, v in attributes.items() if k.endswith(":id")), "")
        elif name.rpartition(":")[2] == "Relationship":
            targets[attributes.get("Id", "")] = attributes.get("Target", "")

    _parse(packed, "xl/workbook.xml", begin)
    _parse(packed, "xl/_rels/workbook.xml.rels", begin)
    target = targets[ids[sheet]]
    return target.lstrip("/") if target.startswith("/") else posixpath.normpath(f"xl/{target}")


def _errors_of_xlsx(packed: zipfile.ZipFile, part: str) -> _Cells:
    found: _Cells = {}
    if not _contains(packed, part, b't="e"'):
        return found
    at: list[tuple[int, int]] = []

    def begin(name: str, attributes: dict[str, str]) -> None:
        if name.rpartition(":")[2] == "c":
            at[:] = [_position(attributes["r"])] if attributes.get("t") == "e" else []
            found.update(dict.fromkeys(at, ""))

    def text(data: str) -> None:
        if at and data.startswith("#"):
            found[at[0]] = data

    _parse(packed, part, begin, text)
    return {place: text or "#ERROR!" for place, text in found.items()}


def _errors_of_ods(packed: zipfile.ZipFile, sheet: str) -> _Cells:
    found: _Cells = {}
    if not _contains(packed, "content.xml", b'value-type="error"'):
        return found
    table, row, rows, column = "", 0, 0, 0

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal table, row, rows, column
        if name == "table:table":
            table, row, rows = attributes.get("table:name", ""), 0, 0
        elif name == "table:table-row":
            row, column = row + rows, 0
            rows = int(attributes.get("table:number-rows-repeated", 1))
        elif name in ("table:table-cell", "table:covered-table-cell"):
            if table == sheet and attributes.get("calcext:value-type") == "error":
                found[row, column] = "#ERROR!"
            column += int(attributes.get("table:number-columns-repeated", 1))

    _parse(packed, "content.xml", begin)
    return found


def _position(reference: str) -> tuple[int, int]:
    """Return row and column of a reference like B3, from 0."""
    letters = reference.rstrip("0123456789")
    column = 0
    for letter in letters:
        column = column * 26 + ord(letter) - 64
    return int(reference[len(letters) :]) - 1, column - 1


def _contains(packed: zipfile.ZipFile, part: str, wanted: bytes) -> bool:
    before = b""
    for piece in _pieces(packed, part):
        if wanted in before + piece:
            return True
        before = piece[-len(wanted) :]
    return False


def _pieces(packed: zipfile.ZipFile, part: str) -> Iterator[bytes]:
    with packed.open(part) as file:
        while piece := file.read(_PIECE):
            yield piece


def _parse(
    packed: zipfile.ZipFile,
    part: str,
    begin: Callable[[str, dict[str, str]], None],
    text: Callable[[str], None] | None = None,
) -> None:
    parser = expat.ParserCreate()
    parser.StartElementHandler = begin
    parser.CharacterDataHandler = text
    parser.buffer_text = True
    for piece in _pieces(packed, part):
        parser.Parse(piece)
    parser.Parse(b"", True)


if __name__ == "__main__":
    main(*sys.argv[1:])
