"""Workbooks: .xlsx and .ods are read as they are shown; one that is too large ends its reader and nothing else."""

import subprocess
import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orderflow.orders.importing import workbook
from orderflow.orders.models import DraftOrder, DraftOrderLine
from tests import factories
from tests.orders.importing import HEADER, run
from tests.orders.workbooks import Formatted, ods, pack, xlsx

HEAD = HEADER.split(",")
ROW = ["PO-1", "4711", date(2026, 11, 2), "EUR", "INT-1", 10.5, "M", 1.25]
READY = "1 orders imported into ACME\n       1 READY for approval\n"
WORKBOOKS = Path(__file__).with_name("exports")
WRITE: dict[str, Any] = {"xlsx": xlsx, "ods": ods}


@pytest.fixture
def org(db):
    made = factories.org(slug="acme", name="ACME")
    factories.customer(made)
    return made


@pytest.fixture(params=["xlsx", "ods"])
def write(request: pytest.FixtureRequest, tmp_path):
    return lambda *rows, name=None, **options: WRITE[request.param](
        tmp_path / (name or f"orders.{request.param}"), rows, **options
    )


def test_a_workbook_is_read(org, write):
    assert run(write(HEAD, ROW)) == (0, READY, "")

    draft, line = DraftOrder.objects.get(), DraftOrderLine.objects.get()
    assert (draft.external_order_number, str(draft.order_date)) == ("PO-1", "2026-11-02")
    assert (line.qty, line.unit_price, line.internal_sku) == (Decimal("10.5"), Decimal("1.25"), "INT-1")


@pytest.mark.parametrize(
    "name", ["orders.csv", "orders.txt", "orders", "orders.xls", "orders.ods", "orders.xlsx"]
)
def test_a_workbook_with_another_name_is_recognised_by_its_bytes(org, write, name):
    assert run(write(HEAD, ROW, name=name)) == (0, READY, "")


def test_numbers_have_the_digits_that_are_shown(org, write):
    row = [4711001, 4711, date(2026, 11, 2), "EUR", 999, 1.1 * 3, "M", 0.1 + 0.2]

    assert run(write(HEAD, row))[0] == 0
    draft, line = DraftOrder.objects.get(), DraftOrderLine.objects.get()
    assert (draft.external_order_number, draft.customer.erp_customer_number) == ("4711001", "4711")
    assert (line.internal_sku, line.qty, line.unit_price) == ("999", Decimal("3.3"), Decimal("0.3"))


@pytest.mark.parametrize(
    ("number", "form", "shown"),
    [
        (4711, "00000000", "00004711"),
        (4711, "000-000", "004-711"),
        (4711, r"000\-000", "004-711"),
        (1234567, "000-000", "1234-567"),
        (4711, '"PO-"0', "PO-4711"),
        (4711, "[Red]00000;-00000", "04711"),
        (4711, "00 00 00", "00 47 11"),
        (4711, "General", "4711"),
        (4711, "0", "4711"),
        (4711, "#,##0", "4,711"),
        (4711, "#.##0,00", "4.711"),
        (4711, "0.00", "4711.00"),
    ],
)
def test_an_order_number_is_what_the_format_shows(org, write, number, form, shown):
    plain = any(mark in form for mark in ".,")
    row = [Formatted(number, form, shown), *ROW[1:]]

    assert run(write(HEAD, row))[0] == 0
    assert DraftOrder.objects.get().external_order_number == (str(number) if plain else shown)


def test_formats_change_no_quantity_or_price_and_apply_to_each_key(org, write):
    factories.customer(org, erp_customer_number="00815")
    customer, sku = Formatted(815, "00000", "00815"), Formatted(7, "000-0", "000-7")
    row = [
        "PO-1",
        customer,
        ROW[2],
        "EUR",
        sku,
        Formatted(12, "00000", "00012"),
        "M",
        Formatted(3, '0" EUR"', "3 EUR"),
    ]

    assert run(write(HEAD, row, row))[0] == 0
    assert DraftOrder.objects.get().customer.erp_customer_number == "00815"
    assert {(line.internal_sku, line.qty, line.unit_price) for line in DraftOrderLine.objects.all()} == {
        ("000-7", Decimal(12), Decimal(3))
    }


@pytest.mark.parametrize("name", ["libreoffice.ods", "libreoffice.xlsx", "openpyxl.xlsx", "xlsxwriter.xlsx"])
def test_workbooks_that_programs_saved_are_read_alike(org, name):
    """Each has formats, a time of day, a formula, two equal lines and an empty column at the end."""
    assert run(WORKBOOKS / name)[0] == 0

    lines = DraftOrderLine.objects.order_by("draft_order__external_order_number", "line_no")
    assert [
        (
            line.draft_order.external_order_number,
            str(line.draft_order.order_date),
            line.internal_sku,
            line.qty,
            line.unit_price,
        )
        for line in lines
    ] == [
        ("0004711001", "2026-11-02", "000-123", Decimal("10.5"), Decimal("1.25")),
        ("0004711001", "2026-11-02", "INT-1", Decimal(2), Decimal("1.1")),
        ("0004711001", "2026-11-02", "INT-1", Decimal(2), Decimal("1.1")),
        ("PO-2", "2026-11-03", "R\u00f6hre 5", Decimal(1200), Decimal("1234.5")),
    ]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (0, 1.2345678901234568e17),
        (0, 4.5),
        (0, date(2026, 2, 1)),
        (0, True),
        (4, 4006381333931.5),
        (4, date(2026, 2, 1)),
    ],
)
def test_a_key_that_the_workbook_does_not_hold_as_it_was_is_refused(org, write, column, value):
    row = [*ROW]
    row[column] = value

    code, _, problem = run(write(HEAD, row))

    assert code == 1
    assert f"line 2, {HEAD[column]}: " in problem
    assert "a spreadsheet has changed this" in problem


def test_a_number_as_text_follows_the_rules_of_text_files(org, write):
    row = [*ROW[:5], "1.234", *ROW[6:]]

    code, _, problem = run(write(HEAD, row))

    assert code == 1
    assert "line 2, qty: '1.234' can mean 1.234 or 1234" in problem
    assert run(write(HEAD, row), "--decimal", "comma")[0] == 0


def test_a_date_as_text_needs_its_format(org, write):
    row = [*ROW[:2], "02.11.2026", *ROW[3:]]

    assert "--date-format DD.MM.YYYY" in run(write(HEAD, row))[2]
    assert run(write(HEAD, row), "--date-format", "DD.MM.YYYY")[0] == 0


def test_rows_keep_their_numbers_and_short_rows_are_whole(org, write):
    bad = ["PO-2", "4711", None, "EUR", "INT-1", "x"]

    code, _, problem = run(write([], HEAD, ROW, [], bad))

    assert code == 1
    assert "line 5, qty: 'x' is not a number" in problem
    assert DraftOrder.objects.count() == 1


def test_a_total_and_columns_with_capitals_are_understood(org, write):
    said = run(
        write([name.upper() for name in HEAD], ROW, ["Total", None, None, None, None, 10.5]), "--dry-run"
    )[1]

    assert "workbook, sheet 'Orders'" in said
    assert "Line 3 is a total and was left out." in said


def test_a_formula_that_failed_is_refused(org, write):
    head = [*HEAD, "customer_sku_raw"]

    code, _, problem = run(
        write(head, ["#N/A", *ROW[1:]], ["PO-2", *ROW[1:5], "#REF!", "M", 1], [*ROW, "#NAME?"])
    )

    assert code == 1
    for line, name, said in [
        (2, "external_order_number", "a spreadsheet has changed this"),
        (3, "qty", "is not a number"),
        (4, "customer_sku_raw", "a spreadsheet has changed this"),
    ]:
        assert [one for one in problem.splitlines() if f"line {line}, {name}: '#" in one and said in one]


def test_of_several_sheets_one_is_named(org, tmp_path):
    path = xlsx(tmp_path / "o.xlsx", [], sheets={"Notes": [["x"]], "Orders & more": [HEAD, ROW], "Empty": []})

    code, _, problem = run(path)

    assert code == 2
    assert "has 2 sheets: 'Notes', 'Orders & more'; say which one has the orders with --sheet" in problem
    assert run(path, "--sheet", "Orders & more") == (0, READY, "")
    assert "has no sheet 'Nope'; it has 'Notes', 'Orders & more', 'Empty'" in run(path, "--sheet", "Nope")[2]


def test_a_hidden_sheet_does_not_count(org, tmp_path):
    sheets = {"Lists": [["EUR"]], "Orders": [HEAD, ROW]}

    assert run(xlsx(tmp_path / "o.xlsx", [], sheets=sheets, hidden=["Lists"])) == (0, READY, "")


@pytest.mark.parametrize("rows", [[], [HEAD]])
def test_a_workbook_without_an_order_is_an_error(org, write, rows):
    code, _, problem = run(write(*rows))

    assert code == 2
    assert "holds no orders" in problem or "has no sheet with anything in it" in problem


OTHERS = {
    "old.xls": (b"\xd0\xcf\x11\xe0" + b"\0" * 500, "is a workbook of the old kind (.xls), or one with a password"),
    "page.xls": (b"<html><table><tr><td>PO-1", "is a web page or XML, whatever its name says"),
    "cut.xlsx": (b"PK\x03\x04\x14\x00\x06\x00\x08\x00", "is a damaged workbook or archive"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_what_only_looks_like_a_workbook_is_refused_with_what_to_do(org, tmp_path, name):
    content, said = OTHERS[name]
    (tmp_path / name).write_bytes(content)

    code, _, problem = run(tmp_path / name)

    assert code == 2
    assert f"{name} {said}" in problem


def test_an_archive_of_files_is_refused(org, tmp_path):
    code, _, problem = run(pack(tmp_path / "orders.zip", {"orders.csv": HEADER.encode()}))

    assert code == 2
    assert "is a zip archive; unpack it" in problem


def test_text_with_the_name_of_a_workbook_is_read_as_text(org, tmp_path):
    (tmp_path / "orders.xlsx").write_text(f"{HEADER}\nPO-1,4711,2026-11-02,EUR,INT-1,10.5,M,1.25\n")

    assert run(tmp_path / "orders.xlsx") == (0, READY, "")


def test_a_workbook_whose_parts_are_damaged_is_refused(org, tmp_path):
    path = xlsx(tmp_path / "o.xlsx", [HEAD, ROW])
    with zipfile.ZipFile(path) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    parts["xl/worksheets/sheet1.xml"] = parts["xl/worksheets/sheet1.xml"][:200]

    code, _, problem = run(pack(path, parts))

    assert code == 2
    assert "can't be read as a workbook" in problem


# Limits


def test_a_workbook_that_expands_without_end_is_refused_before_it_is_read(org, tmp_path, monkeypatch):
    monkeypatch.setattr(workbook, "MAX_EXPANDED", 32 * 1024**2)
    path = tmp_path / "bomb.xlsx"
    xlsx(path, [HEAD, ROW])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as packed, packed.open("xl/media/x", "w") as part:
        for _ in range(40):
            part.write(b"\0" * 1024**2)
    assert path.stat().st_size < 1024**2

    code, _, problem = run(path)

    assert code == 2
    assert "it expands to more than 32 MB; save it as CSV, or split it" in problem


def test_an_entity_that_expands_without_end_is_not_expanded(org, tmp_path):
    path = xlsx(tmp_path / "o.xlsx", [HEAD, ["&lol;", *ROW[1:]]])
    with zipfile.ZipFile(path) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    laughs = "".join(f'<!ENTITY lol{n} "{f"&lol{n - 1};" * 10}">' for n in range(1, 10))
    sheet = parts["xl/worksheets/sheet1.xml"].replace(b"&amp;lol;", b"&lol9;")
    parts["xl/worksheets/sheet1.xml"] = sheet.replace(
        b"?>", f'?><!DOCTYPE x [<!ENTITY lol0 "lol">{laughs}]>'.encode(), 1
    )

    code, said, _ = run(pack(path, parts))

    assert code != 0 or "READY" in said
    assert not DraftOrder.objects.filter(external_order_number__contains="lollol").exists()


def test_rows_beyond_the_limit_are_refused(org, write, monkeypatch):
    monkeypatch.setattr(workbook, "MAX_ROWS", 3)

    code, _, problem = run(write(HEAD, *[[f"PO-{n}", *ROW[1:]] for n in range(5)]))

    assert code == 2
    assert "more than 3 rows" in problem


def test_the_reader_gets_nothing_of_our_environment(org, tmp_path, monkeypatch):
    seen, run_program = [], subprocess.run

    def watched(*args, **options):
        seen.append(options["env"])
        return run_program(*args, **options)

    monkeypatch.setattr(subprocess, "run", watched)
    run(xlsx(tmp_path / "o.xlsx", [HEAD, ROW]))

    assert seen[0].keys() <= {"PATH", "LANG", "PYTHONPATH"}
