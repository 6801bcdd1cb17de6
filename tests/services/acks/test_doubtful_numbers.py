"""One ERP number for several orders, or a placeholder, is accepted, and a user sees the warning."""

import json

import pytest
from django.test import Client
from django.urls import reverse

from erp_connectors.models import ERPExport
from erp_connectors.port_types import Ack
from erp_connectors.services.acks.apply import correct_numbers
from erp_connectors.services.acks.manual_answers import mark_accepted
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.exports.answer import AnswerToApply
from erp_connectors.services.status.attention import NeedKind
from erp_connectors.services.status.overview import overview
from erp_connectors.watch import traffic
from orderflow.orders.models import DraftOrder
from orderflow.tenancy.roles import Role
from tests import factories
from tests.api.test_idempotency import client_of
from tests.services.acks.test_poll import sent


def accept(site, export, number):
    site.answer(f"ack_{export.filename}", json.dumps({"status": "ACKED", "erp_order_id": number}).encode())
    poll(site.connection.pk)


def marked():
    orders = DraftOrder.objects.exclude(erp_number_doubtful_at=None)
    return set(orders.values_list("pk", flat=True))


def needs(site):
    return {need.kind: need.count for need in overview(factories.user(site.org, Role.VIEWER)).needs}


def codes(site, export):
    order = client_of(site.org, Role.VIEWER).get(f"/api/v1/draft-orders/{export.draft_order_id}").json()
    return [warning["code"] for warning in order["warnings"]]


def test_numbers_of_their_own_are_no_doubt(site):
    for n, export in enumerate(sent(site, 3)):
        accept(site, export, f"SO-{n}")

    assert marked() == set()
    assert NeedKind.ERP_NUMBER_DOUBTFUL not in needs(site)


@pytest.mark.parametrize("together", [False, True])
def test_one_number_for_several_orders_is_accepted_and_shown(site, together):
    exports = sent(site, 3)
    for export, number in zip(exports, ("SO-1", "SO-1", "SO-2"), strict=True):
        body = json.dumps({"status": "ACKED", "erp_order_id": number}).encode()
        site.answer(f"ack_{export.filename}", body)
        if not together:
            poll(site.connection.pk)
    poll(site.connection.pk)

    assert set(ERPExport.objects.values_list("status", flat=True)) == {"ACKED"}
    assert marked() == {export.draft_order_id for export in exports[:2]}
    assert [codes(site, export) for export in exports] == [["ERP_NUMBER_SHARED"]] * 2 + [[]]
    assert needs(site)[NeedKind.ERP_NUMBER_DOUBTFUL] == 2
    assert any("ERP number" in finding.what for finding in traffic.exports())
    web = Client()
    web.force_login(factories.user(site.org, Role.VIEWER))
    listed = web.get(reverse("admin:orders_draftorder_changelist"), {"erp_number": "yes"})
    assert listed.context["cl"].result_count == 2
    page = web.get(
        reverse("admin:orders_draftorder_change", args=[exports[0].draft_order_id])
    ).content.decode()
    assert "gave its number SO-1 to another order" in page


@pytest.mark.parametrize("number", ["N/A", "0", "-"])
def test_a_placeholder_is_shown_the_first_time(site, number):
    (export,) = sent(site)
    accept(site, export, number)

    assert marked() == {export.draft_order_id}
    assert codes(site, export) == ["ERP_NUMBER_PLACEHOLDER"]


def test_a_number_recorded_by_hand_counts_too(site):
    exports = sent(site, 2)
    for export in exports:
        mark_accepted(export.pk, actor=factories.user(site.org), erp_order_id="SO-1", note="phone")

    assert marked() == {export.draft_order_id for export in exports}


def test_another_org_may_have_the_same_number(make_site):
    for site in (make_site(), make_site()):
        (export,) = sent(site)
        accept(site, export, "SO-1")

    assert marked() == set()


def test_a_constant_number_takes_no_more_statements_the_more_orders_have_it(
    site, django_assert_max_num_queries
):
    for export in sent(site, 20):
        accept(site, export, "SO-1")
    (last,) = sent(site)
    body = json.dumps({"status": "ACKED", "erp_order_id": "SO-1"}).encode()
    site.answer(f"ack_{last.filename}", body)

    with django_assert_max_num_queries(70):
        poll(site.connection.pk)
    assert len(marked()) == 21


def test_a_corrected_number_leaves_no_doubt_on_the_order_that_had_the_same(site):
    first, second = sent(site, 2)
    accept(site, first, "SO-1")
    accept(site, second, "SO-1")
    assert marked() == {first.draft_order_id, second.draft_order_id}

    second.refresh_from_db()
    ack = Ack(accepted=True, erp_order_id="SO-2", error_code=None, message=None, processed_at=None)
    correct_numbers([AnswerToApply(second, ack, "a file")])

    assert marked() == set()
    assert NeedKind.ERP_NUMBER_DOUBTFUL not in needs(site)
