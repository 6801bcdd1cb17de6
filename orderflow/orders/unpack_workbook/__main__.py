"""Write one sheet of a workbook as lines of JSON: its name, then its rows. `workbook` runs this in its own process.

python -m orderflow.orders.unpack_workbook FILE SHEET MEMORY OUTPUT SECONDS
MEMORY: bytes of address space. OUTPUT: bytes. SECONDS: of CPU time.

Values are those of JSON, ``{"day": …}`` for a date, ``{"number": …, "shown": …}`` for a number whose format shows other
digits or text than the number has.
"""

import json
import resource
import sys
import zipfile
from collections import defaultdict
from datetime import date, time, timedelta
from typing import Any, NoReturn
from xml.parsers import expat

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from orderflow.orders.unpack_workbook import errors, parts, shown_numbers

REFUSED = 3


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
        with zipfile.ZipFile(path) as packed:
            part = parts.part_of(packed, chosen.name)
            _write(
                chosen, errors.read(packed, chosen.name, part), shown_numbers.read(packed, chosen.name, part)
            )
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


def _write(sheet: CalamineSheet, failed: parts.Texts, shown: parts.Texts) -> None:
    write = sys.stdout.write
    write(json.dumps([sheet.name]) + "\n")
    # `iter_rows` begins at the sheet's first row, but at the first column that is not empty.
    _, first_column = sheet.start or (0, 0)
    texts: dict[int, dict[int, Any]] = defaultdict(dict)
    for (row_number, column), text in shown.items():
        texts[row_number][column] = {"shown": text}
    for (row_number, column), text in failed.items():
        texts[row_number][column] = text
    for number, cells in enumerate(sheet.iter_rows()):
        row = [*[None] * first_column, *map(_plain, cells)]
        for column, text in texts.pop(number, {}).items():
            row += [None] * (column + 1 - len(row))
            row[column] = {"number": row[column], **text} if isinstance(text, dict) else text
        write(json.dumps(row, ensure_ascii=False) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return {"day": value.isoformat()}
    if isinstance(value, time | timedelta):
        return str(value)
    return None if value == "" else value


if __name__ == "__main__":
    main(*sys.argv[1:])
