"""Recognise the format of a file: by its first bytes, else by its name."""

import zipfile
from pathlib import Path
from typing import Literal

Format = Literal["jsonl", "csv", "xlsx", "ods"]
FORMATS: tuple[Format, ...] = ("jsonl", "csv", "xlsx", "ods")
WORKBOOKS = ("xlsx", "ods")
_ENDINGS: dict[str, Format] = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv", ".tab": "csv", ".psv": "csv", ".txt": "csv",
    # A text table with the ending of a workbook.
    ".xlsx": "csv", ".ods": "csv", ".xls": "csv",
}  # fmt: skip
_ZIP, _OLD_OFFICE, _GZIP = b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\x1f\x8b"
_WEB_PAGE = (b"<html", b"<!doctype html", b"<table", b"<?xml")


class UnknownFormat(Exception):
    """The message says what the file seems to be, and what to do."""


def format_of(path: Path, stated: Format | None = None) -> Format:
    """Return the format of a file. Raise `UnknownFormat`, `OSError`."""
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(_ZIP):
        return _zipped(path)
    if head.startswith(_OLD_OFFICE):
        raise UnknownFormat(
            f"{path.name} is a workbook of the old kind (.xls), or one with a password; save it as .xlsx without one."
        )
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_WEB_PAGE):
        raise UnknownFormat(
            f"{path.name} is a web page or XML, whatever its name says; open it in a spreadsheet and save it as .xlsx."
        )
    if stated is not None and stated not in WORKBOOKS:
        return stated
    if stated is not None:
        raise UnknownFormat(f"{path.name} is not a workbook; leave --format out, or say --format csv.")
    return _by_name(path)


def is_gzipped(head: bytes) -> bool:
    return head.startswith(_GZIP)


def _by_name(path: Path) -> Format:
    ending = Path(path.stem).suffix if path.suffix.lower() == ".gz" else path.suffix
    found = _ENDINGS.get(ending.lower())
    if found is None:
        raise UnknownFormat(
            f"{path.name} ends neither in .jsonl, .csv, .xlsx nor .ods: say which it is with --format."
        )
    return found


def _zipped(path: Path) -> Format:
    """Return the format of a workbook, by its content. Raise `UnknownFormat` for any other archive."""
    try:
        with zipfile.ZipFile(path) as packed:
            names = {entry.filename for entry in packed.infolist()}
    except zipfile.BadZipFile:
        raise UnknownFormat(
            f"{path.name} is a damaged workbook or archive; save or export it again."
        ) from None
    if "xl/workbook.xml" in names:
        return "xlsx"
    if "content.xml" in names:
        return "ods"
    if "xl/workbook.bin" in names:
        raise UnknownFormat(f"{path.name} is a binary workbook (.xlsb); save it as .xlsx.")
    raise UnknownFormat(f"{path.name} is a zip archive; unpack it and import the files in it.")
