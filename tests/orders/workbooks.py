"""Workbooks as small as the formats allow, written part by part, so that a test can write one that no program would."""

import zipfile
from datetime import date
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_DAY_ZERO = date(1899, 12, 30)
_FIRST_CUSTOM = 164


class Formatted(NamedTuple):
    """A number with a format; ``shown``: what a spreadsheet shows, which .ods files have beside the number."""

    number: int
    form: str
    shown: str


def _styles(forms):
    """Style 1 is a date; the custom formats follow."""
    listed = "".join(
        f'<numFmt numFmtId="{n}" formatCode={quoteattr(form)}/>'
        for n, form in enumerate(forms, _FIRST_CUSTOM)
    )
    used = "".join(f'<xf numFmtId="{n}" applyNumberFormat="1"/>' for n, _ in enumerate(forms, _FIRST_CUSTOM))
    return (
        f'<styleSheet xmlns="{_MAIN}"><numFmts count="{len(forms)}">{listed}</numFmts>'
        '<fonts count="1"><font/></fonts><fills count="1"><fill/></fills>'
        '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
        f'<cellXfs count="{2 + len(forms)}"><xf numFmtId="0"/><xf numFmtId="14" applyNumberFormat="1"/>{used}</cellXfs>'
        "</styleSheet>"
    )


def xlsx(path, rows, *, sheets=None, hidden=()):
    """Write ``rows``, or several ``sheets`` by name."""
    sheets = sheets or {"Orders": rows}
    cells = [value for of_sheet in sheets.values() for row in of_sheet for value in row]
    forms = sorted({value.form for value in cells if isinstance(value, Formatted)})
    parts = {"[Content_Types].xml": _types(len(sheets)), "xl/styles.xml": _styles(forms)}
    parts["_rels/.rels"] = _relations([("officeDocument", "xl/workbook.xml")])
    parts["xl/_rels/workbook.xml.rels"] = _relations(
        [
            *(("worksheet", f"worksheets/sheet{n}.xml") for n in range(1, len(sheets) + 1)),
            ("styles", "styles.xml"),
        ]
    )
    states = dict.fromkeys(hidden, "hidden")
    listed = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{n}" r:id="rId{n}" state="{states.get(name, "visible")}"/>'
        for n, name in enumerate(sheets, 1)
    )
    parts["xl/workbook.xml"] = (
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_REL}"><sheets>{listed}</sheets></workbook>'
    )
    for n, of_sheet in enumerate(sheets.values(), 1):
        parts[f"xl/worksheets/sheet{n}.xml"] = sheet_xml(of_sheet, forms)
    return pack(path, parts)


def pack(path, parts):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, text in parts.items():
            packed.writestr(
                name, text if isinstance(text, bytes) else f'<?xml version="1.0" encoding="UTF-8"?>{text}'
            )
    return Path(path)


def sheet_xml(rows, forms=()):
    written = "".join(
        f'<row r="{n}">{"".join(_cell(column, n, value, forms) for column, value in enumerate(row))}</row>'
        for n, row in enumerate(rows, 1)
    )
    return f'<worksheet xmlns="{_MAIN}"><sheetData>{written}</sheetData></worksheet>'


def _cell(column, row, value, forms):
    at = f"{chr(65 + column)}{row}"
    if value is None:
        return ""
    if isinstance(value, Formatted):
        return f'<c r="{at}" s="{2 + forms.index(value.form)}"><v>{value.number}</v></c>'
    if isinstance(value, date):
        return f'<c r="{at}" s="1"><v>{(value - _DAY_ZERO).days}</v></c>'
    if isinstance(value, int | float):
        kind = ' t="b"' if isinstance(value, bool) else ""
        return f'<c r="{at}"{kind}><v>{value + 0!r}</v></c>'
    if value.startswith("#"):
        return f'<c r="{at}" t="e"><v>{value}</v></c>'
    return f'<c r="{at}" t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'


def _types(sheets):
    spreadsheet = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    listed = "".join(
        f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{spreadsheet}.worksheet+xml"/>'
        for n in range(1, sheets + 1)
    )
    return (
        f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="xml" ContentType="application/xml"/>'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{spreadsheet}.sheet.main+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{spreadsheet}.styles+xml"/>{listed}</Types>'
    )


def _relations(targets):
    listed = "".join(
        f'<Relationship Id="rId{n}" Type="{_REL}/{kind}" Target="{target}"/>'
        for n, (kind, target) in enumerate(targets, 1)
    )
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{listed}</Relationships>'


_ODF = "urn:oasis:names:tc:opendocument:xmlns"


def ods(path, rows, *, name="Orders"):
    written = "".join(f"<table:table-row>{''.join(map(_ods_cell, row))}</table:table-row>" for row in rows)
    spaces = " ".join(f'xmlns:{short}="{_ODF}:{short}:1.0"' for short in ("office", "table", "text"))
    spaces += ' xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"'
    content = (
        f"<office:document-content {spaces} office:version='1.2'><office:body><office:spreadsheet>"
        f"<table:table table:name={quoteattr(name)}>{written}</table:table>"
        "</office:spreadsheet></office:body></office:document-content>"
    )
    manifest = (
        f'<manifest:manifest xmlns:manifest="{_ODF}:manifest:1.0"><manifest:file-entry manifest:full-path="/" '
        'manifest:media-type="application/vnd.oasis.opendocument.spreadsheet"/></manifest:manifest>'
    )
    mimetype = b"application/vnd.oasis.opendocument.spreadsheet"
    return pack(path, {"mimetype": mimetype, "content.xml": content, "META-INF/manifest.xml": manifest})


def _ods_cell(value):
    if value is None:
        return "<table:table-cell/>"
    if isinstance(value, Formatted):
        kind = f'office:value-type="float" office:value="{value.number}"'
        return f"<table:table-cell {kind}><text:p>{escape(value.shown)}</text:p></table:table-cell>"
    if isinstance(value, bool):
        kind = f'office:value-type="boolean" office:boolean-value="{str(value).lower()}"'
    elif isinstance(value, date):
        kind = f'office:value-type="date" office:date-value="{value}"'
    elif isinstance(value, int | float):
        kind = f'office:value-type="float" office:value="{value!r}"'
    elif value.startswith("#"):
        kind = 'office:value-type="string" office:string-value="" calcext:value-type="error"'
    else:
        kind = 'office:value-type="string"'
    return f"<table:table-cell {kind}><text:p>{escape(str(value))}</text:p></table:table-cell>"
