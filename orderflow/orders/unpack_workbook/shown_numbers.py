"""Read whole numbers that a format shows with leading zeros or other text: 4711 as 00004711 or 00-4711.

An order number or SKU is what the user sees. calamine returns only the number.
"""

import re
import zipfile

from orderflow.orders.unpack_workbook import parts

# A format is read up to the first section, which is that of positive numbers (ECMA-376 part 1, 18.8.31).
_MARK = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]|[_*].|.', re.DOTALL)
_NUMBER_CELL = re.compile(r"[0-9]{1,15}")
_GROUPED = re.compile("[.,'\u2019\u00a0\u202f ]")


def read(packed: zipfile.ZipFile, sheet: str, part: str | None) -> parts.Texts:
    """Return the shown text of each such cell. ``part`` has the sheet in an .xlsx file; None: the file is .ods."""
    return _of_ods(packed, sheet) if part is None else _of_xlsx(packed, part)


def shown(number: str, form: str) -> str | None:
    """Return the digits of ``number`` as the format ``form`` shows them; None if the format shows no plain digits."""
    section = form.partition(";")[0]
    marks = _MARK.findall(section)
    digits = [mark for mark in marks if mark in "0#"]
    if not digits or any(mark in ".,?%@/" or mark.isalpha() or mark.startswith("[$") for mark in marks):
        return None
    pieces: list[str] = []
    left, open_places = number, len(digits)
    for mark in reversed(marks):
        if mark in "0#":
            open_places -= 1
            pieces.append(left[-1:] or ("0" if mark == "0" else ""))
            left = left[:-1]
            if not open_places:
                pieces.append(left)
        elif mark[0] not in "[_*":
            pieces.append(mark.strip('"') if mark[0] == '"' else mark[-1])
    return "".join(reversed(pieces))


def _of_xlsx(packed: zipfile.ZipFile, part: str) -> parts.Texts:
    forms = _forms(packed)
    found: parts.Texts = {}
    if not forms:
        return found
    cell: list[tuple[parts.Place, str]] = []
    inside = False

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal inside
        name = name.rpartition(":")[2]
        inside = name == "v"
        if name == "c":
            form = forms.get(attributes.get("s", ""))
            is_number = form is not None and attributes.get("t", "n") == "n"
            cell[:] = [(parts.place(attributes["r"]), form)] if is_number and form else []

    def text(data: str) -> None:
        if cell and inside and _NUMBER_CELL.fullmatch(data):
            place, form = cell[0]
            written = shown(data, form)
            if written is not None and written != data:
                found[place] = written

    parts.parse(packed, part, begin, text)
    return found


def _forms(packed: zipfile.ZipFile) -> dict[str, str]:
    """Return the custom number format of each cell style that has one; built-in formats never add zeros or text."""
    if "xl/styles.xml" not in packed.namelist():
        return {}
    codes: dict[str, str] = {}
    styles: list[str] = []
    inside = False

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal inside
        name = name.rpartition(":")[2]
        if name == "numFmt":
            codes[attributes.get("numFmtId", "")] = attributes.get("formatCode", "")
        elif name == "xf" and inside:
            styles.append(attributes.get("numFmtId", ""))
        elif name in ("cellStyleXfs", "cellXfs", "cellStyles"):
            inside = name == "cellXfs"

    parts.parse(packed, "xl/styles.xml", begin)
    return {str(n): codes[style] for n, style in enumerate(styles) if style in codes}


def _of_ods(packed: zipfile.ZipFile, sheet: str) -> parts.Texts:
    """An .ods file has the shown text of each cell beside its number."""
    cells = parts.OdsCells(sheet)
    found: parts.Texts = {}
    number = ""

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal number
        if cells.begin(name, attributes):
            value = attributes.get("office:value", "").removesuffix(".0")
            is_whole = attributes.get("office:value-type") == "float" and _NUMBER_CELL.fullmatch(value)
            number = value if is_whole else ""
        elif not name.startswith("text:"):
            number = ""

    def text(data: str) -> None:
        if number and _is_another(data, number):
            found.update(dict.fromkeys(cells.places(), data))

    parts.parse(packed, "content.xml", begin, text)
    return found


def _is_another(written: str, number: str) -> bool:
    """Return whether the text has the number's digits with zeros before them or text between them."""
    digits = re.sub("[^0-9]", "", written)
    return digits.lstrip("0") == number.lstrip("0") and _GROUPED.sub("", written) != number
