"""Each answer about an order says what to check before it is approved and pushed; what was approved is what is sent."""

import json
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from erp_connectors.services.delivery.deliver import deliver
from orderflow.accounts.models import Token
from orderflow.orders.editing import editing
from orderflow.orders.models import Customer, DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.roles import Role
from tests import factories
from tests.api.test_idempotency import CREATE, client_of
from tests.services.delivery.test_concurrency import THREADS, together

LINE = {
    "line_no": 1, "internal_sku": "INT-1", "qty": "10", "uom": "M", "unit_price": "1.25", "currency": "EUR",
}  # fmt: skip


def codes(answer):
    return [warning["code"] for warning in answer.json()["warnings"]]


def body(buyer, *lines, **fields):
    return {
        "external_order_number": "PO-1", "customer": str(buyer.pk), "currency": "EUR",
        "lines": list(lines) or [LINE], **fields,
    }  # fmt: skip


@pytest.fixture
def org(db, tmp_path, settings):
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    made = factories.org()
    factories.connection(made, {"mode": "filesystem", "export_path": str(tmp_path)})
    return made


@pytest.fixture
def buyer(org):
    return factories.customer(org)


@pytest.fixture
def ops(org):
    return client_of(org)


def test_the_same_number_again_is_told_at_creation_approval_push_and_reading(ops, buyer):
    first, second = (ops.post(CREATE, body(buyer), format="json") for _ in range(2))
    url = f"{CREATE}/{second.json()['id']}"

    assert [codes(first), codes(second)] == [[], ["ORDER_NUMBER_REPEATED"]]
    assert second.json()["warnings"][0]["params"]["order_ids"] == [first.json()["id"]]
    answers = [ops.post(f"{url}/approve"), ops.post(f"{url}/push"), ops.post(f"{url}/push"), ops.get(url)]
    assert [answer.status_code for answer in answers] == [200, 202, 200, 200]
    assert [codes(answer) for answer in answers] == [["ORDER_NUMBER_REPEATED"]] * 4
    assert "PO-1" not in second.json()["warnings"][0]["message"]
    assert "(2 in all" in second.json()["warnings"][0]["message"]


def test_a_change_that_makes_it_the_same_number_is_told(ops, buyer):
    ops.post(CREATE, body(buyer), format="json")
    other = ops.post(CREATE, body(buyer, external_order_number="PO-2"), format="json").json()["id"]

    changed = ops.patch(f"{CREATE}/{other}", {"external_order_number": "PO-1"}, format="json")

    assert (changed.status_code, codes(changed)) == (200, ["ORDER_NUMBER_REPEATED"])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("keyed", [False, True])
def test_of_many_requests_at_once_each_but_one_is_warned(org, buyer, keyed, settings):
    settings.WRITES_PER_MINUTE = 1000
    token = Token.objects.create(factories.user(org, Role.OPS))[1]
    keys = iter(range(THREADS))

    def create():
        from rest_framework.test import APIClient  # noqa: PLC0415

        client = APIClient(HTTP_AUTHORIZATION=f"Token {token}")
        headers = {"Idempotency-Key": f"k-{next(keys)}"} if keyed else {}
        return client.post(CREATE, body(buyer), format="json", headers=headers)

    answers = together(create)

    assert {answer.status_code for answer in answers} == {201}
    assert sum(codes(answer) == [] for answer in answers) <= 1
    assert DraftOrder.objects.count() == THREADS


def test_a_price_of_zero_another_currency_and_an_odd_date_are_told(ops, buyer):
    lines = [{**LINE, "unit_price": "0"}, {**LINE, "line_no": 2, "currency": "USD"}]

    answer = ops.post(CREATE, body(buyer, *lines, order_date="0001-01-01"), format="json")

    assert answer.json()["status"] == "READY"
    assert codes(answer) == ["LINE_CURRENCY_DIFFERS", "PRICE_NOT_POSITIVE", "ORDER_DATE_IMPLAUSIBLE"]
    assert answer.json()["warnings"][1]["params"] == {"lines": [1], "count": 1}


@pytest.mark.parametrize("retried", [False, True])
def test_what_was_approved_is_what_is_sent(ops, org, buyer, tmp_path, retried):
    order = ops.post(CREATE, body(buyer), format="json").json()["id"]
    approved = ops.post(f"{CREATE}/{order}/approve").json()
    if retried:
        DraftOrder.objects.filter(pk=order).update(status=DraftStatus.ERROR)
    Customer.objects.filter(pk=buyer.pk).update(name="Neu AG", erp_customer_number="9999")

    pushed = ops.post(f"{CREATE}/{order}/{'retry-push' if retried else 'push'}")
    deliver(org.connections.get().pk)

    assert (approved["approved_customer_number"], approved["approved_customer_name"]) == ("4711", buyer.name)
    assert (pushed.status_code, codes(pushed)) == (202, ["CUSTOMER_CHANGED"])
    (file,) = tmp_path.glob("*.json")
    sent = json.loads(file.read_bytes(), parse_float=Decimal)
    assert sent["customer"] == {"id": str(buyer.pk), "erp_customer_number": "4711", "name": buyer.name}


def test_taking_the_approval_back_forgets_the_frozen_customer(ops, org, buyer):
    order = ops.post(CREATE, body(buyer), format="json").json()["id"]
    ops.post(f"{CREATE}/{order}/approve")
    with editing(order, actor=factories.user(org)):
        pass
    Customer.objects.filter(pk=buyer.pk).update(erp_customer_number="9999")

    answer = ops.get(f"{CREATE}/{order}")

    assert (answer.json()["approved_customer_number"], codes(answer)) == ("", [])


def test_the_pages_of_the_order_of_approving_and_of_pushing_say_it_too(org, buyer):
    user = factories.user(org)
    web = Client()
    web.force_login(user)
    first, second = (factories.draft(org, customer=buyer, external_order_number="PO-1") for _ in range(2))
    DraftOrder.objects.filter(pk=second.pk).update(status=DraftStatus.READY)

    change = reverse("admin:orders_draftorder_change", args=[second.pk])
    acts = [
        reverse("admin:orders_draftorder_action", args=[pk, name])
        for pk, name in ((second.pk, "approve"), (first.pk, "push"))
    ]
    for url in (change, *acts):
        page = web.get(url)
        assert page.status_code == 200
        assert "Another order of this customer" in page.content.decode(), url
    other = factories.draft(org, customer=buyer, status=DraftStatus.READY)
    assert (
        "warnings-heading"
        not in web.get(reverse("admin:orders_draftorder_change", args=[other.pk])).content.decode()
    )


def test_the_command_that_pushes_says_it(org, buyer, capsys):
    drafts = [factories.draft(org, customer=buyer, external_order_number="PO-1") for _ in range(2)]

    call_command("push", str(drafts[1].pk))

    assert "warning: Another order of this customer has the same order number" in capsys.readouterr().out
