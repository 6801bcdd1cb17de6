"""The lists: what a search finds, what the chips show, and what an empty list says."""

import warnings
from datetime import timedelta

import pytest
from django.core.paginator import UnorderedObjectListWarning
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from erp_connectors.models import ERPExport
from erp_connectors.services.exports.push import push
from orderflow.orders.models import DraftOrder
from tests import factories

ORDERS, EXPORTS, ACKS = (
    "admin:orders_draftorder_changelist",
    "admin:erp_connectors_erpexport_changelist",
    "admin:erp_connectors_ackfile_changelist",
)


@pytest.fixture
def org(db, tmp_path, settings):
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    made = factories.org()
    factories.connection(made, {"mode": "filesystem", "export_path": str(tmp_path)})
    return made


@pytest.fixture
def ops(client, org):
    client.force_login(factories.user(org))
    return client


def pushed(org, **fields) -> ERPExport:
    return push(factories.draft(org, **fields).pk, actor=factories.user(org)).export


def rows(client, page, **query):
    answer = client.get(reverse(page), query)
    assert answer.status_code == 200
    return {row.pk for row in answer.context["cl"].result_list}


@pytest.mark.parametrize(
    "text", ["PO-777", "777", "Kabelwerk", "8899", "{file}", "ack_{file}", "error_{file}"]
)
def test_one_box_finds_an_order_and_its_export(ops, org, text):
    buyer = factories.customer(org, name="Kabelwerk Nord", erp_customer_number="8899")
    export = pushed(org, customer=buyer, external_order_number="PO-777")
    pushed(org, external_order_number="PO-123")
    text = text.format(file=export.filename)
    assert rows(ops, ORDERS, q=text) == {export.draft_order_id}
    assert rows(ops, EXPORTS, q=text) == {export.pk}


def test_an_erp_number_finds_the_order_and_its_export(ops, org):
    export = pushed(org)
    pushed(org)
    DraftOrder.objects.filter(pk=export.draft_order_id).update(erp_order_id="SO-2026-42")
    assert rows(ops, ORDERS, q="SO-2026-42") == {export.draft_order_id}
    assert rows(ops, EXPORTS, q="SO-2026-42") == {export.pk}


@pytest.mark.parametrize("page", [ORDERS, EXPORTS, ACKS])
def test_a_search_finds_nothing_of_another_org(client, org, page):
    export = pushed(org, external_order_number="PO-777")
    client.force_login(factories.user(factories.org()))
    for text in ("PO-777", export.filename, "Müller"):
        assert rows(client, page, q=text) == set()


def test_orders_whose_answer_is_overdue_are_listed(ops, org):
    late, _ = pushed(org), pushed(org)
    ERPExport.objects.filter(pk=late.pk).update(
        status="SENT", sent_at=timezone.now(), overdue_at=timezone.now()
    )
    assert rows(ops, ORDERS, overdue="yes") == {late.draft_order_id}


@pytest.mark.parametrize(("days", "today", "week"), [(0, 1, 1), (3, 0, 1), (9, 0, 0)])
def test_today_and_the_last_days_are_days_of_the_viewers_zone(ops, org, days, today, week):
    order = factories.draft(org)
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    DraftOrder.objects.filter(pk=order.pk).update(created_at=midnight - timedelta(days=days))
    assert len(rows(ops, ORDERS, since="today")) == today
    assert len(rows(ops, ORDERS, since="week")) == week


@pytest.mark.parametrize("page", [ORDERS, EXPORTS, ACKS])
def test_every_chip_opens_its_list_and_takes_itself_off(ops, page):
    for chip in ops.get(reverse(page)).context["chips"]:
        answer = ops.get(reverse(page) + chip["url"])
        assert answer.status_code == 200  # an unknown parameter would lead elsewhere
        assert [one["url"] for one in answer.context["chips"] if one["on"]] == ["?"]


@pytest.mark.parametrize("page", [ORDERS, EXPORTS, ACKS])
def test_an_empty_list_says_what_to_do(ops, page):
    said = [
        ops.get(reverse(page), query).content.decode() for query in ({}, {"q": "xyz"}, {"since": "today"})
    ]
    assert " yet." in said[0]
    assert "Nothing found for “xyz”" in said[1]
    assert "Searched:" in said[1]
    assert "Clear the filter" in said[2]


@pytest.mark.parametrize("page", [ORDERS, EXPORTS])
def test_more_rows_take_no_more_queries(ops, org, page):
    def asked():
        with CaptureQueriesContext(database) as queries:
            ops.get(reverse(page))
        return len(queries)

    pushed(org)
    asked()
    one = asked()
    for _ in range(4):
        pushed(org)
    assert asked() == one


@pytest.mark.parametrize("typed", ["", "PO"])
def test_what_a_field_completes_comes_in_order_so_that_no_page_repeats_a_row(ops, org, typed):
    made = [pushed(org, external_order_number=f"PO-{n}") for n in range(3)]
    field = {"app_label": "erp_connectors", "model_name": "ackfile", "field_name": "export"}

    with warnings.catch_warnings():
        warnings.simplefilter("error", UnorderedObjectListWarning)
        answer = ops.get(reverse("admin:autocomplete"), {**field, "term": typed})

    assert [row["id"] for row in answer.json()["results"]] == [str(one.pk) for one in reversed(made)]
