"""Orders from a file: each whole or not at all, none twice, every problem with its place."""

import gzip
import inspect
import io
import json
import re
import threading
import tracemalloc
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from orderflow.input_rules import currencies, text
from orderflow.orders import importing
from orderflow.orders.importing import json_lines, limits, reading, rows, values
from orderflow.orders.management.progress import ProgressBar
from orderflow.orders.models import Customer, DraftOrder, DraftOrderLine, ImportedOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy import scope
from orderflow.tenancy.roles import Role
from tests import factories
from tests.orders.importing import HEADER, csv_file, run

pytestmark = pytest.mark.django_db


@pytest.fixture
def org(db):
    made = factories.org(slug="acme", name="ACME")
    factories.customer(made)
    return made


def order(number="PO-1", **fields):
    line = {"internal_sku": "INT-1", "qty": "10.5", "uom": "M", "unit_price": "1.2345", "currency": "EUR"}
    return {
        "external_order_number": number,
        "order_date": "2026-11-02",
        "currency": "EUR",
        "customer": {"erp_customer_number": "4711", "name": "Müller"},
        "lines": [line, {**line, "internal_sku": "INT-2"}],
        **fields,
    }


def jsonl(folder, *orders, name="orders.jsonl"):
    path = Path(folder) / name
    lines = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in orders]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def test_what_is_odd_is_in_the_report_and_keeps_no_order_out(org, tmp_path):
    odd = order(order_date="0001-01-01")
    odd["lines"][0]["unit_price"] = "0"

    code, said, problem = run(jsonl(tmp_path, order("PO-2"), odd))

    assert (code, DraftOrder.objects.filter(status=DraftStatus.READY).count()) == (0, 2)
    assert "line 2: order PO-1 has warnings: The unit price is zero" in problem
    assert "1 with the warning ORDER_DATE_IMPLAUSIBLE" in said
    _, said, _ = run(jsonl(tmp_path, {**odd, "external_order_number": "PO-3"}), "--json")
    assert json.loads(said)["warnings"] == {"PRICE_NOT_POSITIVE": 1, "ORDER_DATE_IMPLAUSIBLE": 1}


def test_an_order_that_came_in_another_way_is_told_and_left_alone(org, tmp_path):
    factories.draft(org, customer=Customer.objects.get(), external_order_number="PO-1")

    code, said, problem = run(jsonl(tmp_path, order()))

    assert (code, DraftOrder.objects.count()) == (0, 1)
    assert "line 1: order PO-1 already exists: an order with the same number came in another way" in problem
    assert "1 already in OrderFlow" in said


def test_orders_come_in_whole_and_ready(org, tmp_path):
    code, said, problem = run(jsonl(tmp_path, order(), order("PO-2", notes="Eilig\nbitte")))

    assert (code, problem) == (0, "")
    assert said.splitlines() == ["2 orders imported into ACME", "       2 READY for approval"]
    draft = DraftOrder.objects.get(external_order_number="PO-1")
    assert (draft.status, draft.currency, str(draft.order_date)) == ("READY", "EUR", "2026-11-02")
    assert draft.customer.erp_customer_number == "4711"
    assert [(line.line_no, line.internal_sku, line.qty, line.unit_price) for line in draft.lines.all()] == [
        (1, "INT-1", Decimal("10.500"), Decimal("1.2345")),
        (2, "INT-2", Decimal("10.500"), Decimal("1.2345")),
    ]
    assert str(draft.imported_as) == "orders.jsonl:1"


def test_importing_again_adds_nothing_and_says_so(org, tmp_path):
    path = jsonl(tmp_path, order(), order("PO-2"))
    run(path)

    code, said, _ = run(jsonl(tmp_path, order(), order("PO-2"), order("PO-3"), name="later.jsonl"))

    assert code == 0
    assert "1 READY for approval" in said
    assert "2 already in OrderFlow" in said
    assert DraftOrder.objects.count() == 3


def test_a_corrected_draft_is_still_the_order_that_was_imported(org, tmp_path):
    path = jsonl(tmp_path, order())
    run(path)
    DraftOrder.objects.update(external_order_number="PO-1 (corrected)")

    run(path)

    assert DraftOrder.objects.count() == 1


def test_what_was_entered_by_hand_is_not_imported_beside_it(org, tmp_path):
    by_hand = factories.draft(org, customer=Customer.objects.get(), external_order_number="PO-1")
    DraftOrder.objects.bulk_create(
        [DraftOrder(org=org, customer=by_hand.customer, external_order_number="PO-1")]
    )

    code, said, _ = run(jsonl(tmp_path, order()))

    assert code == 0
    assert "1 already in OrderFlow" in said
    assert DraftOrder.objects.count() == 2


def test_an_order_that_changed_since_is_left_and_told(org, tmp_path):
    run(jsonl(tmp_path, order()))

    code, said, problem = run(jsonl(tmp_path, order(currency="CHF")))

    assert code == 1
    assert "line 1, external_order_number PO-1: was imported before with other contents" in problem
    assert "1 already in OrderFlow with other contents" in said
    assert DraftOrder.objects.get().currency == "EUR"


def test_another_customer_may_use_the_same_number(org, tmp_path):
    factories.customer(org, erp_customer_number="4712")
    path = jsonl(tmp_path, order(), order(customer={"erp_customer_number": "4712"}))

    assert run(path)[0] == 0
    assert DraftOrder.objects.filter(external_order_number="PO-1").count() == 2


def test_what_is_missing_for_ready_sends_an_order_to_review_with_the_reasons(org, tmp_path):
    gaps = order(lines=[{"internal_sku": "", "qty": "0", "uom": None}], currency=None)

    code, said, problem = run(jsonl(tmp_path, gaps, order("PO-2", lines=[])))

    assert code == 0
    assert set(DraftOrder.objects.values_list("status", flat=True)) == {DraftStatus.NEEDS_REVIEW}
    assert "line 1: order PO-1 needs review: currency is missing; line 1: quantity must be above 0" in problem
    assert "2 NEEDS_REVIEW" in said
    assert "1   of them: SKU is missing" in said
    assert "1   of them: the order has no lines" in said


WRONG = {
    "not JSON": (b'{"external', "the whole line: not JSON"),
    "not UTF-8": (b'{"external_order_number": "M\xfcller"}', "the whole line: not JSON"),
    "no object": (b"[1]", "the whole line: must be one order as an object"),
    "no number": (order(None), "external_order_number: is missing"),
    "blank number": (order("  "), "external_order_number: is missing"),
    "long number": (order("x" * 101), "external_order_number: has 101 characters, 100 at most"),
    "number as number": (order(5), "external_order_number: 5 is not text"),
    "NUL": (order("PO\x00"), "external_order_number: contains the character U+0000, which is not allowed; remove"),
    "twice": (b'{"currency": "EUR", "currency": "CHF"}', "the whole line: not JSON (the key 'currency' appears twice"),
    "no customer": (order(customer=None), "customer: is missing"),
    "no customer number": (order(customer={"name": "X"}), "customer.erp_customer_number: is missing"),
    "unknown customer": (order(customer={"erp_customer_number": "9"}), "erp_customer_number 9: no customer of"),
    "unknown field": (order(delivery="2026-11-05"), "delivery: is no field of an order; known fields"),
    "unknown line field": (order(lines=[{"sku": "1"}]), "lines[0].sku: is no field of an order"),
    "date": (order(order_date="02.11.2026"), "order_date: '02.11.2026' is not a date; write it like 2026-11-02"),
    "line break": (order(lines=[{"uom": "M\nM"}]), "lines[0].uom: contains a line break; write it in one line"),
    "no such day": (order(order_date="2026-02-30"), "order_date: '2026-02-30' is not a date"),
    "currency": (order(currency="€"), "currency: “€” is not a currency of ISO 4217; write a code like EUR"),
    "currency meant": (order(currency="eur"), "currency: “eur” is not a currency of ISO 4217; write EUR"),
    "lines": (order(lines={}), "lines: must be a list"),
    "line": (order(lines=["x"]), "lines[0]: must be an object"),
    "comma": (order(lines=[{"qty": "1,5"}]), "lines[0].qty: '1,5' is not a number; write it like 1234.5"),
    "underscore": (order(lines=[{"qty": "1_5"}]), "lines[0].qty: '1_5' is not a number"),
    "NaN": (order(lines=[{"qty": "NaN"}]), "lines[0].qty: 'NaN' is not a number"),
    "true": (order(lines=[{"qty": True}]), "lines[0].qty: True is not a number"),
    "too big": (order(lines=[{"qty": "1e15"}]), "lines[0].qty: 1E+15 is too big; 15 digits before the point"),
    "decimals": (order(lines=[{"unit_price": "1.23456"}]), "lines[0].unit_price: 1.23456 has more than 4 decimals"),
    "unit": (order(lines=[{"uom": "NAR"}]), "lines[0].uom: 'NAR' is not a unit; write one of ST M CM"),
    "line number": (order(lines=[{"line_no": 0}]), "lines[0].line_no: '0' is not a line number"),
    "line number twice": (order(lines=[{"line_no": 2}, {}]), "lines[1].line_no: 2 is used twice"),
}  # fmt: skip


def test_each_error_of_the_text_and_currency_rules_has_a_clause():
    sources = [inspect.getsource(module) for module in (text, currencies)]

    assert set(re.findall(r'code="(\w+)"', "".join(sources))) == set(values._CLAUSES)


@pytest.mark.parametrize("wrong", WRONG)
def test_an_order_that_is_wrong_is_refused_whole_with_its_place_and_the_rest_goes_on(org, tmp_path, wrong):
    bad, told = WRONG[wrong]

    code, said, problem = run(jsonl(tmp_path, order("PO-8"), bad, order("PO-9")))

    assert code == 1
    assert f"orders.jsonl, line 2, {told}" in problem
    assert "1 refused" in said
    assert set(DraftOrder.objects.values_list("external_order_number", flat=True)) == {"PO-8", "PO-9"}


def test_all_problems_of_an_order_are_told_at_once(org, tmp_path):
    _, said, problem = run(jsonl(tmp_path, order(currency="euro", lines=[{"qty": "x", "uom": "PCS"}])))

    assert len(problem.splitlines()) == 3
    assert "1 refused" in said


def test_numbers_keep_every_digit(org, tmp_path):
    line = b'{"internal_sku": "A", "qty": 123456789012345.678, "uom": "M", "unit_price": 12345678901234.5678}'
    raw = b'{"external_order_number": "1", "currency": "EUR", "customer": {"erp_customer_number": "4711"}, "lines": ['

    assert run(jsonl(tmp_path, raw + line + b"]}"))[0] == 0

    kept = DraftOrderLine.objects.get()
    assert (kept.qty, kept.unit_price) == (Decimal("123456789012345.678"), Decimal("12345678901234.5678"))


def test_customers_are_added_only_when_asked_and_once(org, tmp_path):
    who = {"erp_customer_number": "9000", "name": "Neu GmbH"}
    path = jsonl(tmp_path, order(customer=who), order("PO-2", customer=who))

    assert run(path)[0] == 1
    assert not Customer.objects.filter(erp_customer_number="9000").exists()

    code, said, _ = run(path, "--create-customers")
    assert code == 0
    assert "1 customers added" in said
    new = Customer.objects.get(erp_customer_number="9000")
    assert (new.name, new.default_currency, new.org) == ("Neu GmbH", "EUR", org)


def test_a_number_that_two_customers_have_is_refused(org, tmp_path):
    factories.customer(org, name="Zwilling")

    code, _, problem = run(jsonl(tmp_path, order()))

    assert code == 1
    assert "line 1, erp_customer_number 4711: 2 customers have this number" in problem


def test_another_orgs_customers_are_not_ours(org, tmp_path):
    factories.customer(factories.org(), erp_customer_number="9000")

    assert run(jsonl(tmp_path, order(customer={"erp_customer_number": "9000"})))[0] == 1


def test_a_dry_run_says_the_same_and_changes_nothing(org, tmp_path):
    who = {"erp_customer_number": "9000"}
    path = jsonl(tmp_path, order(), order(), order(currency="CHF"), order("PO-2", customer=who), order(None))

    dry = run(path, "--create-customers", "--dry-run")

    assert not DraftOrder.objects.exists()
    assert not ImportedOrder.objects.exists()
    assert Customer.objects.count() == 1
    real = run(path, "--create-customers")
    said = dry[1][dry[1].index("2 orders would") :].replace("would be imported", "imported")
    assert said.replace("would be added", "added") == real[1]
    assert (dry[0], dry[2]) == (real[0], real[2])


def test_a_dry_run_refuses_each_order_that_the_import_refuses(org, tmp_path):
    unknown = {"erp_customer_number": "9000"}
    path = jsonl(tmp_path, order(customer=unknown), order(customer=unknown))

    dry, real = run(path, "--dry-run", "--json"), run(path, "--json")

    assert json.loads(dry[1])["refused"] == json.loads(real[1])["refused"] == 2
    assert (dry[0], dry[2]) == (real[0], real[2])


def test_a_dry_run_finds_an_order_of_an_earlier_batch(org, tmp_path, monkeypatch):
    monkeypatch.setattr(importing, "ORDERS_PER_BATCH", 1)
    path = jsonl(tmp_path, order(), order(), order(currency="CHF"))

    dry, real = run(path, "--dry-run", "--json"), run(path, "--json")

    counted = [
        {name: json.loads(said)[name] for name in ("ready", "exists", "differs")}
        for _, said, _ in (dry, real)
    ]
    assert counted == [{"ready": 1, "exists": 1, "differs": 1}] * 2
    assert (dry[0], dry[2]) == (real[0], real[2])


def test_a_summary_for_programs(org, tmp_path):
    code, said, _ = run(jsonl(tmp_path, order(), order("PO-2", lines=[]), order(None)), "--json")

    assert code == 1
    assert json.loads(said) == {
        "ready": 1, "needs_review": 1, "exists": 0, "differs": 0, "refused": 1, "created_customers": 0,
        "gaps": {"NO_LINES": 1}, "dry_run": False, "skipped": 0, "remarks": 0, "warnings": {},
    }  # fmt: skip


def test_rows_of_one_order_stand_together_in_csv(org, tmp_path):
    path = csv_file(
        tmp_path,
        "PO-1,4711,2026-11-02,EUR,INT-1,10.5,M,1.2345",
        "PO-1,4711,,,INT-2,1,ST,",
        "",
        '"PO-2",4711,2026-11-03,EUR,INT-3,2,ST,0.5',
    )

    assert run(path)[0] == 0

    first, second = DraftOrder.objects.order_by("external_order_number")
    assert [line.internal_sku for line in first.lines.all()] == ["INT-1", "INT-2"]
    assert (first.lines.get(line_no=2).unit_price, second.lines.get().qty) == (None, Decimal(2))
    assert second.imported_as.file_line == 5


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_spreadsheets_csv_is_read_too(org, tmp_path, delimiter):
    path = tmp_path / "orders.csv"
    rows = [HEADER, "PO-1,4711,2026-11-02,EUR,Kabel-ü,10.5,M,1"]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(rows).replace(",", delimiter).encode() + b"\r\n")

    assert run(path) == (0, "1 orders imported into ACME\n       1 READY for approval\n", "")


APART = "external_order_number: the rows of this order are not next to each other"
BESIDE = "external_order_number: the row before or after it can't be read"
CSV_WRONG = {
    "value": (["PO-1,4711,,EUR,INT-1,1,M,", "PO-1,4711,,EUR,INT-1,x,M,"], 3, "qty: 'x' is not a number"),
    "cells": (["PO-1,4711,,EUR"], 2, "the whole line: has 4 cells where the header has 8"),
    "differs": (["PO-1,4711,,EUR,A,1,M,", "PO-1,4711,,CHF,A,1,M,"], 3, "currency: differs from line 2 of the same"),
    "no number": ([",4711,,EUR,A,1,M,"], 2, "external_order_number: is empty; write it in every row"),
    "apart": (["PO-1,4711,,EUR,A,1,M,", "PO-9,4711,,EUR,A,1,M,", "PO-1,4711,,EUR,B,1,M,"], 2, APART),
    "beside": (["PO-1,4711,,EUR,A,1,M,", "PO-1,4711,,EUR"], 2, BESIDE),
    "blank beside": (["PO-1,4711,,EUR,A,1,M,", ",,,,B,1,M,"], 2, BESIDE),
    "quote": (["PO-1,4711,,EUR,A,1,M,", 'PO-2,4711,,"EUR"x,A,1,M,'], 3, "the whole line: not CSV"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", CSV_WRONG)
def test_csv_that_is_wrong_brings_in_no_half_order(org, tmp_path, wrong):
    rows, line, told = CSV_WRONG[wrong]

    code, _, problem = run(csv_file(tmp_path, *rows))

    assert code == 1
    assert f"orders.csv, line {line}, {told}" in problem
    assert not DraftOrder.objects.filter(external_order_number="PO-1").exists()


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (
            "external_order_number,erp_customer_number,sku",
            "unknown columns 'sku'; these are known: external_order",
        ),
        ("external_order_number,qty", "the columns erp_customer_number are missing"),
        (f"{HEADER},qty", "columns that appear more than once: qty"),
    ],
)
def test_a_header_that_is_wrong_is_told(org, tmp_path, header, told):
    code, _, problem = run(csv_file(tmp_path, "1,2,3", header=header))

    assert code == 1
    assert f"orders.csv, line 1, the header: {told}" in problem


def test_a_gzipped_file_is_read_and_a_damaged_one_told(org, tmp_path):
    path = tmp_path / "orders.jsonl.gz"
    whole = gzip.compress(json.dumps(order()).encode())
    path.write_bytes(whole[:-10])

    code, _, problem = run(path)
    assert (code, "is damaged" in problem) == (2, True)
    path.write_bytes(whole)
    assert run(path)[0] == 0


def bomb(path, head, chunk, tail=b"", *, megabytes=2048):
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(head)
        for _ in range(megabytes):
            file.write(chunk)
        file.write(tail)
    assert path.stat().st_size < 20 * 1024**2
    return path


MEGABYTE = 1024**2
HEADER_LINE = b"external_order_number,erp_customer_number\n"
BOMBS = {
    # One line, one cell, one row of many lines, one order of many rows.
    "b.jsonl.gz": (b"[", b"[]," * (MEGABYTE // 3), "an order may have 8 MB at most"),
    "b.csv.gz": (HEADER_LINE, b"x" * MEGABYTE, "the row in line 2 is longer than 1 MB"),
    "c.csv.gz": (HEADER_LINE + b'"', (b"x" * 99 + b"\n") * (MEGABYTE // 100), "longer than 1 MB"),
    "d.csv.gz": (HEADER_LINE, b"PO-1,4711\n" * 12_000, "10,000 lines at most"),
    "e.csv.gz": (b"", b"external_order_number," * (MEGABYTE // 22), "the header"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_that_expands_without_end_is_refused_in_little_memory(org, tmp_path, monkeypatch, name):
    monkeypatch.setattr(limits, "MAX_BYTES", 64 * MEGABYTE)
    head, chunk, told = BOMBS[name]
    path = bomb(tmp_path / name, head, chunk, megabytes=1 if name == "d.csv.gz" else 45)

    tracemalloc.start()
    code, _, problem = run(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert code in (1, 2)
    assert told in problem
    assert peak < 40 * MEGABYTE, f"{peak / MEGABYTE:.0f} MB"


@pytest.mark.parametrize(
    ("limit", "most", "told"),
    [
        ("MAX_BYTES", 500, "more than 0 GB"),
        ("MAX_ROWS", 2, "more than 2 "),
        ("MAX_ORDERS", 2, "more than 2 orders"),
    ],
)
def test_a_file_beyond_a_limit_is_read_no_further_and_the_limit_is_named(
    org, tmp_path, monkeypatch, limit, most, told
):
    for module in (limits, reading, rows, json_lines):
        monkeypatch.setattr(module, limit, most, raising=False)
    many = [order(f"PO-{n}") for n in range(5)]
    cells = [f"PO-{n},4711," + "x" * 100 for n in range(5)]
    header = "external_order_number,erp_customer_number,notes"
    for path in (jsonl(tmp_path, *many), csv_file(tmp_path, *cells, header=header)):
        code, _, problem = run(path)
        assert (code, told in problem) == (2, True)


def test_what_can_not_be_done_at_all_is_exit_code_2(org, tmp_path):
    path = jsonl(tmp_path, order())
    path.with_suffix(".dat").write_text("x")
    viewer, other = factories.user(org, Role.VIEWER), factories.user(factories.org())

    for arguments, told in [
        (("/nowhere.jsonl", "--org", "acme"), "can't be read: No such file"),
        ((path.with_suffix(".dat"), "--org", "acme"), "say which it is with --format"),
        ((path, "--org", "nobody"), "There is no org nobody"),
        ((path,), "--org SLUG"),
        ((path, "--as", "nobody@example.com"), "There is no user"),
        ((path, "--as", viewer.email), "may not import orders"),
        ((path, "--as", other.email, "--org", "acme"), "does not belong to ACME"),
    ]:
        with pytest.raises(CommandError, match=told) as refused:
            call_command("import_orders", *map(str, arguments))
        assert refused.value.returncode == 2


def test_in_somebodys_name_it_is_their_org(org, tmp_path):
    ops = factories.user(org)

    call_command("import_orders", str(jsonl(tmp_path, order())), "--as", ops.email, stdout=io.StringIO())

    assert (DraftOrder.objects.get().org, ImportedOrder.objects.get().imported_by) == (org, ops)


def test_a_batch_takes_the_same_statements_however_many_orders_it_has(org, tmp_path):
    def statements(path):
        with CaptureQueriesContext(
            connection,
        ) as captured:
            run(path)
        return len(captured)

    few = statements(jsonl(tmp_path, *(order(f"A-{n}", lines=[]) for n in range(3))))
    # SQLite takes at most 999 values in one statement, and Django splits what has more.
    most = importing.ORDERS_PER_BATCH if connection.vendor == "postgresql" else 40
    many = statements(jsonl(tmp_path, *(order(f"B-{n}", lines=[]) for n in range(most))))

    assert few == many


@pytest.mark.deep
def test_a_long_file_does_not_fill_the_memory(org, tmp_path):
    path = tmp_path / "long.jsonl"
    with path.open("wb") as file:
        for n in range(2400):
            file.write(json.dumps(order(f"PO-{n}", notes="x" * 5000, lines=[])).encode() + b"\n")
    tracemalloc.start()
    try:
        run(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < path.stat().st_size / 2


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_of_two_imports_at_once_each_order_comes_in_once(tmp_path):
    factories.org(slug="acme")
    orders = [order(f"PO-{n}", customer={"erp_customer_number": f"C{n % 7}"}) for n in range(400)]
    paths = [jsonl(tmp_path, *orders, name="a.jsonl"), jsonl(tmp_path, *reversed(orders), name="b.jsonl")]
    together, failures = threading.Barrier(2), []

    @scope.everything()
    def bring_in(path):
        try:
            together.wait()
            if (done := run(path, "--create-customers"))[0]:
                failures.append(done)
        except Exception as error:  # noqa: BLE001  # shown by the assertion
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=bring_in, args=[path]) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert DraftOrder.objects.count() == ImportedOrder.objects.count() == 400
    assert DraftOrderLine.objects.count() == 800
    assert Customer.objects.count() == 7


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_an_import_waits_for_another_that_has_not_committed_and_then_leaves_its_order(tmp_path):
    org = factories.org(slug="acme")
    customer = factories.customer(org)
    path = jsonl(tmp_path, order())
    results = []

    @scope.everything()
    def bring_in():
        results.append(run(path))
        connections.close_all()

    with transaction.atomic():
        other = DraftOrder.objects.create(org=org, customer=customer, external_order_number="elsewhere")
        ImportedOrder.objects.create(
            customer=customer,
            external_order_number="PO-1",
            draft_order=other,
            sha256="",
            file_name="x",
            file_line=1,
        )
        thread = threading.Thread(target=bring_in)
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
    thread.join()

    assert "1 already in OrderFlow" in results[0][1]
    assert DraftOrder.objects.count() == 1


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_is_drawn_on_a_terminal_only(monkeypatch):
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        with ProgressBar(200, stream) as bar:
            bar.drawn -= 1
            bar.at(100)

    assert "[####################....................]  50%" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")
    assert pipe.getvalue() == ""


@pytest.mark.deep
@pytest.mark.every_database
def test_a_wholesalers_month_comes_in_and_again_adds_nothing(org, tmp_path, request):
    published = Path(__file__).resolve().parents[3] / "shared" / "data" / "retail-dec2010.jsonl.gz"
    fixture = Path(__file__).resolve().parent / "orders.jsonl"
    path = published if published.exists() else fixture
    with gzip.open(path, "rt") if path == published else path.open() as lines:
        orders = [json.loads(line) for line in lines]

    assert run(path, "--create-customers")[0] == 0
    code, said, _ = run(path, "--create-customers")

    assert code == 0
    assert f"{len(orders)} already in OrderFlow" in said
    assert DraftOrder.objects.filter(status=DraftStatus.READY).count() == len(orders)
    assert DraftOrderLine.objects.count() == sum(len(one["lines"]) for one in orders)
