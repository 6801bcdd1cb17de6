"""Read the XML parts of a workbook."""

import posixpath
import zipfile
from collections.abc import Callable, Iterator
from xml.parsers import expat

# Row and column, from 0.
Place = tuple[int, int]
Texts = dict[Place, str]
_PIECE = 1024 * 1024


def part_of(packed: zipfile.ZipFile, sheet: str) -> str | None:
    """Return the name of the part of an .xlsx file that has this sheet; None if the file is .ods. Raise `KeyError`."""
    if "xl/workbook.xml" not in packed.namelist():
        return None
    ids: dict[str, str] = {}
    targets: dict[str, str] = {}

    def begin(name: str, attributes: dict[str, str]) -> None:
        if name.rpartition(":")[2] == "sheet":
            ids[attributes["name"]] = next((v for k, v in attributes.items() if k.endswith(":id")), "")
        elif name.rpartition(":")[2] == "Relationship":
            targets[attributes.get("Id", "")] = attributes.get("Target", "")

    parse(packed, "xl/workbook.xml", begin)
    parse(packed, "xl/_rels/workbook.xml.rels", begin)
    target = targets[ids[sheet]]
    return target.lstrip("/") if target.startswith("/") else posixpath.normpath(f"xl/{target}")


class OdsCells:
    """Count the cells of one sheet while content.xml is parsed. A cell or row that follows itself is written once."""

    def __init__(self, sheet: str) -> None:
        self._sheet, self._table = sheet, ""
        self._row, self._rows, self._column, self._columns = 0, 0, 0, 0

    def begin(self, name: str, attributes: dict[str, str]) -> bool:
        """Return whether the element is a cell of the sheet."""
        if name == "table:table":
            self._table, self._row, self._rows = attributes.get("table:name", ""), 0, 0
        elif name == "table:table-row":
            self._row, self._column, self._columns = self._row + self._rows, 0, 0
            self._rows = int(attributes.get("table:number-rows-repeated", 1))
        elif name in ("table:table-cell", "table:covered-table-cell"):
            self._column += self._columns
            self._columns = int(attributes.get("table:number-columns-repeated", 1))
            return self._table == self._sheet
        return False

    def places(self) -> Iterator[Place]:
        """Yield the places of the cell that began last."""
        rows = range(self._row, self._row + self._rows)
        columns = range(self._column, self._column + self._columns)
        return ((row, column) for row in rows for column in columns)


def place(reference: str) -> Place:
    """Return the place of a reference like B3."""
    letters = reference.rstrip("0123456789")
    column = 0
    for letter in letters:
        column = column * 26 + ord(letter) - 64
    return int(reference[len(letters) :]) - 1, column - 1


def contains(packed: zipfile.ZipFile, part: str, wanted: bytes) -> bool:
    before = b""
    for piece in _pieces(packed, part):
        if wanted in before + piece:
            return True
        before = piece[-len(wanted) :]
    return False


def parse(
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


def _pieces(packed: zipfile.ZipFile, part: str) -> Iterator[bytes]:
    with packed.open(part) as file:
        while piece := file.read(_PIECE):
            yield piece
