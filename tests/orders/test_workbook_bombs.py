"""A small workbook that takes all memory once it is read ends its reader, and nothing else."""

import struct
import zipfile
from datetime import date

import pytest

from orderflow.orders.importing import workbook
from orderflow.orders.models import DraftOrder
from tests import factories
from tests.orders.importing import HEADER, run
from tests.orders.workbooks import ods, pack, sheet_xml, xlsx

pytestmark = pytest.mark.deep
HEAD = HEADER.split(",")
ROW = ["PO-1", "4711", date(2026, 11, 2), "EUR", "INT-1", 10.5, "M", 1.25]


@pytest.fixture
def org(db):
    made = factories.org(slug="acme", name="ACME")
    factories.customer(made)
    return made


def test_a_workbook_that_lies_about_its_size_ends_only_its_reader(org, tmp_path, monkeypatch):
    """The archive says 100 bytes for a sheet that has a gigabyte."""
    monkeypatch.setattr(workbook, "MAX_MEMORY", 300 * 1024**2)
    path = xlsx(tmp_path / "bomb.xlsx", [HEAD, ROW])
    with zipfile.ZipFile(path) as packed:
        parts = {name: packed.read(name) for name in packed.namelist() if "sheet1" not in name}
    pack(path, parts)
    text = "x" * 1024**2
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as packed,
        packed.open("xl/worksheets/sheet1.xml", "w") as part,
    ):
        part.write(sheet_xml([HEAD])[: -len("</sheetData></worksheet>")].encode())
        part.write(b'<row r="2"><c r="A2" t="inlineStr"><is><t>')
        for _ in range(500):
            part.write(text.encode())
    _understate(path, b"xl/worksheets/sheet1.xml", 100)

    code, _, problem = run(path)

    assert code == 2
    assert "reading it takes too much memory or time" in problem or "can't be read as a workbook" in problem
    assert not DraftOrder.objects.exists()


def _understate(path, name, size):
    """Overwrite the uncompressed size in the archive's directory."""
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02", 0, data.rindex(name))
    struct.pack_into("<I", data, at + 24, size)
    path.write_bytes(data)


@pytest.mark.parametrize("kind", ["xlsx", "ods"])
def test_a_cell_in_the_last_row_of_the_last_column_ends_only_its_reader(org, tmp_path, kind):
    """A table as wide and as long as the format allows has 17 billion cells."""
    path = tmp_path / f"bomb.{kind}"
    if kind == "xlsx":
        xlsx(path, [HEAD, ROW])
        with zipfile.ZipFile(path) as packed:
            parts = {name: packed.read(name) for name in packed.namelist()}
        end = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
        parts["xl/worksheets/sheet1.xml"] = parts["xl/worksheets/sheet1.xml"].replace(b"</sheetData>", end)
    else:
        ods(path, [HEAD, ROW])
        with zipfile.ZipFile(path) as packed:
            parts = {name: packed.read(name) for name in packed.namelist()}
        cell = b'<table:table-cell table:number-columns-repeated="16384" office:value-type="float" office:value="1"/>'
        end = (
            b'<table:table-row table:number-rows-repeated="1048576">'
            + cell
            + b"</table:table-row></table:table>"
        )
        parts["content.xml"] = parts["content.xml"].replace(b"</table:table>", end)

    code, _, problem = run(pack(path, parts))

    assert code == 2
    assert "too much memory" in problem or "can't be read as a workbook" in problem
