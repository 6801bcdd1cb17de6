"""Cells whose formula failed. calamine returns them empty, so that a lost number would look like an absent one."""

import zipfile

from orderflow.orders.unpack_workbook import parts


def read(packed: zipfile.ZipFile, sheet: str, part: str | None) -> parts.Texts:
    """Return the error text of each such cell. ``part`` has the sheet in an .xlsx file; None: the file is .ods."""
    return _of_ods(packed, sheet) if part is None else _of_xlsx(packed, part)


def _of_xlsx(packed: zipfile.ZipFile, part: str) -> parts.Texts:
    found: parts.Texts = {}
    if not parts.contains(packed, part, b't="e"'):
        return found
    at: list[parts.Place] = []

    def begin(name: str, attributes: dict[str, str]) -> None:
        if name.rpartition(":")[2] == "c":
            at[:] = [parts.place(attributes["r"])] if attributes.get("t") == "e" else []
            found.update(dict.fromkeys(at, ""))

    def text(data: str) -> None:
        if at and data.startswith("#"):
            found[at[0]] = data

    parts.parse(packed, part, begin, text)
    return {place: text or "#ERROR!" for place, text in found.items()}


def _of_ods(packed: zipfile.ZipFile, sheet: str) -> parts.Texts:
    if not parts.contains(packed, "content.xml", b'value-type="error"'):
        return {}
    cells = parts.OdsCells(sheet)
    found: parts.Texts = {}

    def begin(name: str, attributes: dict[str, str]) -> None:
        if cells.begin(name, attributes) and attributes.get("calcext:value-type") == "error":
            found.update(dict.fromkeys(cells.places(), "#ERROR!"))

    parts.parse(packed, "content.xml", begin)
    return found
