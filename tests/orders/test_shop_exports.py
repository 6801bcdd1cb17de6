"""Order exports of shops come in with the column map that is shipped for them, or with one of the user's."""

from decimal import Decimal
from pathlib import Path

import pytest

from orderflow.orders.importing import columns
from orderflow.orders.models import Customer, DraftOrder, DraftOrderLine
from orderflow.orders.states import DraftStatus
from tests import factories
from tests.orders.importing import csv_file, run
from tests.orders.workbooks import xlsx

EXPORTS = Path(__file__).with_name("exports")
NUMBERS = {
    "shopify": ("#1001", "#1002"), "woocommerce": ("2001", "2002"), "magento": ("000000101", "000000102"),
}  # fmt: skip
PRICES = {"shopify": "34.90", "woocommerce": "29.33", "magento": "29.33"}


@pytest.fixture
def org(db):
    return factories.org(slug="acme", name="ACME")


def test_there_is_a_map_for_each_shop():
    assert columns.shipped() == sorted(NUMBERS)


@pytest.mark.parametrize("shop", NUMBERS)
def test_the_orders_of_a_shop_come_in_ready(org, shop):
    code, said, problem = run(EXPORTS / f"{shop}.csv", "--columns", shop, "--create-customers")

    assert (code, problem) == (0, "")
    assert "2 READY for approval" in said
    assert "1 skipped, as the column map says" in said
    first, second = DraftOrder.objects.order_by("external_order_number")
    assert (first.external_order_number, second.external_order_number) == NUMBERS[shop]
    assert {order.status for order in (first, second)} == {DraftStatus.READY}
    assert (str(first.order_date), str(second.order_date)) == ("2026-11-02", "2026-11-03")
    assert first.notes.startswith("Please ring twice.")
    assert [(line.internal_sku, line.qty, line.uom) for line in first.lines.all()] == [
        ("NYM-315-50", Decimal(3), "ST"), ("BOX-7", Decimal(1), "ST"),
    ]  # fmt: skip
    assert first.lines.first().unit_price == Decimal(PRICES[shop])
    assert [line.internal_sku for line in second.lines.all()] == ["CL-25"]
    assert {customer.erp_customer_number: customer.name for customer in Customer.objects.all()} == {
        "einkauf@muster.example": "Muster GmbH",
        "office@sample.example": "Sam Sample" if shop == "shopify" else "Sample",
    }


@pytest.mark.parametrize("shop", NUMBERS)
def test_importing_it_again_adds_nothing(org, shop):
    run(EXPORTS / f"{shop}.csv", "--columns", shop, "--create-customers")

    assert "2 already in OrderFlow" in run(EXPORTS / f"{shop}.csv", "--columns", shop)[1]
    assert DraftOrder.objects.count() == 2


@pytest.mark.parametrize("shop", NUMBERS)
def test_without_its_map_the_map_is_named(org, shop):
    code, _, problem = run(EXPORTS / f"{shop}.csv")

    assert code == 1
    assert f"they look like an export of {shop}: say --columns {shop}" in problem


@pytest.mark.parametrize("shop", NUMBERS)
def test_a_dry_run_names_the_columns_that_are_read(org, shop):
    said = run(EXPORTS / f"{shop}.csv", "--columns", shop, "--dry-run", "--create-customers")[1]

    assert "= external_order_number" in said
    assert "fixed: uom = ST" in said
    assert "not read: " in said
    assert "decimal sign: point, as stated" in said


OWN = """
decimal = "comma"
date_format = "DD.MM.YYYY"
[columns]
external_order_number = "Bestellnummer"
internal_sku = ["Artikel", "Art.-Nr."]
qty = "Menge"
[fixed]
erp_customer_number = "4711"
currency = "EUR"
uom = "M"
"""


@pytest.fixture
def own_map(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    return str(path)


def test_a_map_of_the_users_own(org, tmp_path, own_map):
    factories.customer(org)
    header = "Bestellnummer;Kundenreferenz;ART.-NR.;menge"
    path = csv_file(tmp_path, "PO-1;x;A-1;1.234,5", "PO-1;y;A-2;2", header=header)

    code, said, problem = run(path, "--columns", own_map)

    assert (code, problem) == (0, "")
    assert "1 READY for approval" in said
    assert [(line.internal_sku, line.qty) for line in DraftOrderLine.objects.all()] == [
        ("A-1", Decimal("1234.5")), ("A-2", Decimal(2)),
    ]  # fmt: skip


def test_a_total_is_left_out_although_the_map_fixes_the_customer(org, tmp_path, own_map):
    factories.customer(org)
    path = csv_file(tmp_path, "PO-1;A-1;2", "Summe;;2", header="Bestellnummer;Artikel;Menge")

    code, said, problem = run(path, "--columns", own_map)

    assert (code, problem) == (0, "")
    assert "Line 3 is a total and was left out." in said


def test_only_the_first_row_has_the_number_although_the_map_fixes_the_customer(org, tmp_path, own_map):
    factories.customer(org)
    Path(own_map).write_text(f"order_once = true\n{OWN}")
    path = csv_file(
        tmp_path, "PO-1;A-1;2", ";A-2;3", ";;", "PO-2;A-3;1", header="Bestellnummer;Artikel;Menge"
    )

    assert run(path, "--columns", own_map)[0] == 0
    assert sorted(DraftOrderLine.objects.values_list("draft_order__external_order_number", "internal_sku")) == [
        ("PO-1", "A-1"), ("PO-1", "A-2"), ("PO-2", "A-3"),
    ]  # fmt: skip


def test_problems_are_told_with_the_headings_of_the_file(org, tmp_path, own_map):
    factories.customer(org)
    path = csv_file(tmp_path, "NULL;1E+12;x", header="Bestellnummer;Artikel;Menge")

    _, _, problem = run(path, "--columns", own_map)

    assert "line 2, Bestellnummer: 'NULL': a spreadsheet has changed this" in problem
    assert "line 2, Artikel: '1E+12': a spreadsheet has changed this" in problem
    assert "line 2, Menge: 'x' is not a number" in problem


def test_a_map_reads_workbooks_too(org, tmp_path, own_map):
    factories.customer(org)

    assert (
        run(
            xlsx(tmp_path / "o.xlsx", [["Bestellnummer", "Artikel", "Menge"], ["PO-1", "A", 2.5]]),
            "--columns",
            own_map,
        )[0]
        == 0
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("columns = 1", "Expected `object`"),
        ("[columns", "Expected"),
        ('[columns]\nexternal_order_number = "A"', "erp_customer_number is missing"),
        (f'{OWN}\n[color]\na = "b"', "unknown field `color`"),
        (OWN.replace("qty =", "quantity ="), "no such field quantity; known: external_order_number"),
    ],
)
def test_a_map_that_is_wrong_is_refused_with_its_name(org, tmp_path, own_map, text, said):
    Path(own_map).write_text(text)

    code, _, problem = run(csv_file(tmp_path, "x", header="A"), "--columns", own_map)

    assert code == 2
    assert f"column map {own_map}: " in problem
    assert said in problem


def test_a_map_that_there_is_not_is_refused_with_those_that_are_shipped(org, tmp_path):
    code, _, problem = run(csv_file(tmp_path), "--columns", "shopware")

    assert code == 2
    assert (
        "column map shopware: No such file or directory; shipped maps: magento, shopify, woocommerce"
        in problem
    )


def test_a_file_without_the_columns_of_its_map_is_refused_with_those_it_has(org, tmp_path):
    code, _, problem = run(csv_file(tmp_path, "1,2", header="Order,Email"), "--columns", "shopify")

    assert code == 1
    assert (
        "line 1, the header: the column 'Name' for external_order_number is missing (shopify); the file has 'Order'"
        in problem
    )


@pytest.mark.parametrize(
    ("header", "row", "named"),
    [
        ("Bestellnummer;Artikel;Menge;Artikel", "PO-1;A-1;2;B-1", "'Artikel'"),
        ("Bestellnummer;Artikel;Menge;MENGE ", "PO-1;A-1;2;3", "'Menge', 'MENGE'"),
        ("Bestellnummer;Artikel;Menge;Status;status", "PO-1;A-1;2;;void", "'Status', 'status'"),
    ],
)
def test_a_heading_of_the_map_in_two_columns_is_refused(org, tmp_path, own_map, header, row, named):
    factories.customer(org)
    Path(own_map).write_text(f'{OWN}\n[skip_orders]\n"Status" = ["void"]\n')

    code, _, problem = run(csv_file(tmp_path, row, header=header), "--columns", own_map)

    assert code == 1
    assert f"line 1, the header: columns that the map reads appear more than once: {named}; " in problem
    assert not DraftOrder.objects.exists()


def test_a_heading_that_the_map_does_not_read_may_be_in_two_columns(org, tmp_path, own_map):
    factories.customer(org)
    path = csv_file(tmp_path, "PO-1;A-1;2;x;y", header="Bestellnummer;Artikel;Menge;Text;Text")

    assert run(path, "--columns", own_map)[0] == 0


def test_unknown_headings_are_refused_with_what_they_may_be(org, tmp_path):
    code, _, problem = run(csv_file(tmp_path, "1;2;3", header="Bestellnummer;Kundennummer;Menge"))

    assert code == 1
    assert (
        "'Bestellnummer' may be external_order_number; 'Kundennummer' may be erp_customer_number" in problem
    )
    assert "--columns FILE" in problem


def test_every_map_that_is_shipped_can_be_copied_and_read(tmp_path):
    for name in columns.shipped():
        copy = tmp_path / f"{name}.toml"
        copy.write_text((columns.SHIPPED / f"{name}.toml").read_text())
        assert columns.column_map(str(copy)).columns == columns.column_map(name).columns
