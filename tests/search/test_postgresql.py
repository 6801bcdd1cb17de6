"""PostgreSQL computes the same normal form, and has the form of every order, however a row is written."""

# ruff: noqa: RUF001, S608  # texts of many scripts; our own names

import unicodedata

import pytest
from django.db import connection

from orderflow.orders import number_search, search
from orderflow.orders.models import DraftOrder
from orderflow.search.lookups import FUNCTION
from orderflow.search.normal_form import normal_form
from tests import factories

pytestmark = [pytest.mark.postgres_only, pytest.mark.django_db]
TEXTS = [
    "",
    " ",
    "PO-00012345 SO-2026-7",
    "Müller & Söhne GmbH",
    "aee oee uee oae",
    "Ça ﬁ ŉ ǅ",
    "\ufdfa" * 300,
    "x" * 900,
]


def asked(statement, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()


def test_every_character_has_the_form_that_python_gives_it():
    # Python's Unicode may be older than PostgreSQL's.
    assigned = [
        chr(code)
        for code in (*range(1, 0xD800), *range(0xE000, 0x110000))
        if unicodedata.category(chr(code)) not in ("Cn", "Co")
    ]
    many = (assigned[n : n + 40] for n in range(0, len(assigned), 40))
    texts = [*TEXTS, *(" ".join(f"A{one}e{one}" for one in some) for some in many)]
    rows = asked(f"SELECT t, {FUNCTION}(t) FROM unnest(%s::text[]) t", texts)

    assert len(assigned) > 100_000
    assert [(text, form, normal_form(text)) for text, form in rows if form != normal_form(text)] == []


def forms():
    return dict(asked(f"SELECT order_id, form FROM {number_search.TABLE}"))


def expected():
    rows = DraftOrder.objects.values_list("pk", "external_order_number", "erp_order_id")
    return {pk: normal_form(f"{a} {b}") for pk, a, b in rows if a or b}


def test_the_index_has_the_numbers_of_every_order_however_it_is_written():
    org = factories.org()
    one = factories.draft(org, external_order_number="Заказ 7")
    DraftOrder.objects.bulk_create(DraftOrder(org=org, external_order_number=f"PO-{n}") for n in range(3))
    DraftOrder.objects.create(org=org)
    assert forms() == expected()

    DraftOrder.objects.filter(pk=one.pk).update(erp_order_id="SO-Ä1")
    assert forms()[one.pk] == " заказ 7 so a1"
    one.refresh_from_db()
    one.external_order_number = "PO-8"
    one.save()
    DraftOrder.objects.filter(external_order_number="PO-2").update(external_order_number="")
    asked(
        "UPDATE orders_draftorder SET erp_order_id = 'N/A' WHERE external_order_number = 'PO-1' RETURNING id"
    )
    assert {pk: form for pk, form in forms().items() if form.strip()} == expected()

    one.lines.all().delete()
    DraftOrder.objects.all().delete()
    assert forms() == {}


def test_an_order_number_is_found_by_the_index():
    org = factories.org()
    DraftOrder.objects.bulk_create(DraftOrder(org=org, external_order_number=f"PO-{n}") for n in range(50))
    statement = number_search.found("public", "NULL::uuid[]", "%s", "10")
    asked("SELECT set_config('enable_seqscan', 'off', true)")  # as the function has it

    plan = "\n".join(line for (line,) in asked(f"EXPLAIN {statement}", "'po':* & '17':*"))

    assert f"Bitmap Index Scan on {number_search.INDEX}" in plan
    assert found_by(org, "PO-17") == ["PO-17"]


def found_by(org, text):
    rows = search.search(DraftOrder.objects.for_org(org), factories.user(org), text)
    return sorted(rows.values_list("external_order_number", flat=True))


@pytest.mark.parametrize("few", [0, 1_000])
@pytest.mark.parametrize("many", [1, 1_000])
def test_each_way_to_search_finds_the_same(monkeypatch, few, many):
    """By the index, and by reading orders one by one: because too many match, or because the newest do."""
    monkeypatch.setattr(search, "FEW_ORDERS", few)
    monkeypatch.setattr(search, "MANY", many)
    org = factories.org()
    numbers = ["Заказ-17", "注文書", "Ö", "PO-17", "Größe 17", "17"]
    DraftOrder.objects.bulk_create(DraftOrder(org=org, external_order_number=number) for number in numbers)

    assert found_by(org, "17") == sorted({"Заказ-17", "PO-17", "Größe 17", "17"})
    assert found_by(org, "ЗАКАЗ") == ["Заказ-17"]
    assert found_by(org, "文書") == ["注文書"]
    assert found_by(org, "oe") == ["Ö"]
    assert found_by(org, "groesse") == ["Größe 17"]
