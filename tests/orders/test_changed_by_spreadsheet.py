"""What a spreadsheet made of a number is no order number, SKU or customer number: two orders must not become one."""

import json

import pytest

from orderflow.orders.importing.cells import BooleanCell, DateCell, NumberCell, cell
from orderflow.orders.importing.changed_by_spreadsheet import is_changed
from orderflow.orders.models import Customer, DraftOrder
from tests import factories
from tests.orders.importing import csv_file, run

SAID = "a spreadsheet has changed this; format the column as text and export again"
CHANGED = [
    "4.50001E+11", "4,50001E+11", "4.5E+11", "4.5e+11", "4.5E11", "4E+11", "-1.2E+05", "########", "##", "#N/A", "#NV",
    "#REF!", "#BEZUG!", "#NAME?", "#VALUE!", "#WERT!", "#DIV/0!", "#NULL!", "#NUM!", "Err:502", "NULL", "null", "None",
    "nan", "NaN", "NaT", "<NA>", "n/a", "undefined", '="0004711"', "=4711", "'0004711", "\u20190004711", "1-Jan",
    "02. Jan", "2-M\u00e4r", "12-Dez.",
]  # fmt: skip
MEANT = [
    "PO-1", "4711", "0004711", "#1001", "#A12", "4E5", "1E", "E+11", "12E3", "NULLO", "NANO-1", "450001000000", "1.5",
    "A'1", "5'", "JAN-1", "MAI-2026", "1-2", "Nullmodem", "N", "A=1", "R\u00f6hre 1/2", "1-JA", "-",
]  # fmt: skip


@pytest.fixture
def org(db):
    made = factories.org(slug="acme", name="ACME")
    factories.customer(made)
    return made


@pytest.mark.parametrize("text", CHANGED)
def test_it_is_recognised(text):
    assert is_changed(text)
    assert is_changed(f" {text} ")


@pytest.mark.parametrize("text", MEANT)
def test_what_people_call_orders_and_products_is_left_alone(text):
    assert not is_changed(text)


@pytest.mark.parametrize(
    ("value", "changed"),
    [
        (4711, False), (4711.0, False), (450001000000.0, False), (123456789012345, False),
        (1.2345678901234568e17, True), (4.5, True), (-1, True), (True, True), ({"day": "2026-01-02"}, True),
    ],
)  # fmt: skip
def test_a_cell_of_a_workbook_is_a_key_only_if_it_has_all_its_digits(value, changed):
    assert is_changed(cell(value)) is changed


def test_cells_remember_what_they_were():
    assert [type(cell(value)) for value in (1.5, True, {"day": "2026-01-02T00:00:00"}, "x", None)] == [
        NumberCell, BooleanCell, DateCell, str, str,
    ]  # fmt: skip
    assert [cell(value) for value in (3.3000000000000003, 0.1, 1e15, 1000.0, 0.0, {"day": "2026-01-02T10:00:00"})] == [
        "3.3", "0.1", "1000000000000000", "1000", "0", "2026-01-02",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["external_order_number", "erp_customer_number", "internal_sku"])
@pytest.mark.parametrize(
    "text", ["4.5E+11", '"4,50001E+11"', "########", "#N/A", "nan", '"=""0004711"""', "'0004711"]
)
def test_it_is_refused_in_each_column_that_identifies_something(org, tmp_path, name, text):
    values = {"external_order_number": "PO-1", "erp_customer_number": "4711", "internal_sku": "A", name: text}
    header = "external_order_number,erp_customer_number,internal_sku,currency,qty,uom"

    code, said, problem = run(
        csv_file(tmp_path, f"{','.join(values.values())},EUR,1,ST", header=header), "--create-customers"
    )

    assert (code, "1 refused" in said) == (1, True)
    assert f"orders.csv, line 2, {name}: " in problem
    assert SAID in problem
    assert not DraftOrder.objects.exists()
    assert Customer.objects.count() == 1


def test_two_orders_whose_numbers_became_one_do_not_become_one_order(org, tmp_path):
    path = csv_file(tmp_path, "4.50001E+11,4711,,EUR,A,1,ST,5", "4.50001E+11,4711,,EUR,B,2,ST,9")

    assert run(path)[0] == 1
    assert not DraftOrder.objects.exists()


def test_json_is_no_exception(org, tmp_path):
    path = tmp_path / "o.jsonl"
    lines = [{"internal_sku": "4.00639E+12", "customer_sku_raw": "nan"}]
    order = {"external_order_number": "NULL", "customer": {"erp_customer_number": "'0004711"}, "lines": lines}
    path.write_text(json.dumps(order))

    _, _, problem = run(path)

    named = [
        "external_order_number",
        "customer.erp_customer_number",
        "lines[0].internal_sku",
        "lines[0].customer_sku_raw",
    ]
    assert [
        line for name in named for line in problem.splitlines() if f" {name}: " in line
    ] == problem.splitlines()
    assert problem.count(SAID) == 4
