"""Orders that programs create, change and bring to the ERP."""

import json
from decimal import Decimal

import pytest

from orderflow.orders.models import DraftOrder, DraftOrderLine
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.roles import Role
from tests import factories
from tests.api.test_idempotency import CREATE, client_of

LINE = {
    "line_no": 1,
    "internal_sku": "INT-1",
    "qty": "10.500",
    "uom": "M",
    "unit_price": "1.2300",
    "currency": "EUR",
}


@pytest.fixture
def org(db):
    return factories.org()


@pytest.fixture
def ops(org):
    return client_of(org)


def order(org, **fields):
    return {"external_order_number": "PO-1", "customer": str(factories.customer(org).pk), "currency": "EUR",
            "order_date": "2026-11-20", "lines": [LINE], **fields}  # fmt: skip


def post(client, body):
    return client.post(CREATE, body, format="json")


def problems(answer):
    assert answer.status_code == 422, answer.content
    return answer.json()["error"]["details"]


def test_a_complete_order_is_ready_and_comes_back_whole(org, ops):
    body = order(org, document={"file_name": "a.pdf", "sha256": "0" * 64, "size": 5}, notes="Ümlaut")

    answer = post(ops, body)

    told = answer.json()
    assert (answer.status_code, told["status"], told["missing"]) == (201, "READY", [])
    assert told["lines"] == [{**LINE, "customer_sku_raw": "", "product_description": ""}]
    draft = DraftOrder.objects.get(pk=told["id"])
    assert (draft.org, draft.document.file_name, draft.notes) == (org, "a.pdf", "Ümlaut")
    assert ops.get(f"{CREATE}/{draft.pk}").json() == told


def test_an_incomplete_order_is_kept_and_says_what_each_line_lacks(org, ops):
    told = post(ops, order(org, customer=None, lines=[LINE, {"line_no": 2, "qty": "0"}])).json()

    assert told["status"] == "NEEDS_REVIEW"
    assert told["missing"] == [
        "customer is missing",
        "line 2: quantity must be above 0",
        "line 2: unit is missing",
        "line 2: SKU is missing",
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"lines": [{**LINE, "qty": "viel"}]}, "lines"),
        ({"lines": [LINE, LINE]}, "lines"),
        ({"lines": [{**LINE, "uom": "FASS"}]}, "lines"),
        ({"lines": [{**LINE, "quantity": 1}]}, "lines"),
        ({"lines": "none"}, "lines"),
        ({"currency": "euro"}, "currency"),
        ({"order_date": "20.11.2026"}, "order_date"),
        ({"customer": "4711"}, "customer"),
        ({"ordernumber": "PO-1"}, "ordernumber"),
        ({"document": {"file_name": "a.pdf", "sha256": "x", "size": 1}}, "document"),
        ({"notes": "nul \u0000"}, "notes"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_made(org, ops, body, field):
    assert {name.partition(".")[0] for name in problems(post(ops, order(org, **body)))} == {field}
    assert not DraftOrder.objects.exists()


def test_a_wrong_line_is_told_in_its_place(org, ops):
    told = problems(post(ops, order(org, lines=[LINE, {**LINE, "line_no": 2, "qty": "viel"}])))

    # By place, from 0.
    assert told == {"lines.1.qty": [{"code": "invalid", "message": "A valid number is required."}]}


def test_another_orgs_customer_is_not_known(org, ops):
    stranger = factories.customer(factories.org())

    assert set(problems(post(ops, order(org, customer=str(stranger.pk))))) == {"customer"}


def test_numbers_keep_all_their_decimals(org, ops):
    raw = json.dumps(order(org, lines=[{**LINE, "unit_price": 0}])).replace(
        '"unit_price": 0', '"unit_price": 12345678901234.5678'
    )
    ops.post(CREATE, raw, content_type="application/json")

    assert DraftOrderLine.objects.get().unit_price == Decimal("12345678901234.5678")


def test_a_change_takes_the_approval_back(org, ops):
    draft = factories.draft(org, status=DraftStatus.APPROVED)

    answer = ops.patch(f"{CREATE}/{draft.pk}", {"notes": "later", "lines": [LINE]}, format="json")

    told = answer.json()
    assert (answer.status_code, told["status"], told["approved_by"]) == (200, "NEEDS_REVIEW", None)
    assert (told["notes"], told["external_order_number"]) == ("later", draft.external_order_number)
    assert [line["internal_sku"] for line in told["lines"]] == ["INT-1"]


def test_an_order_on_its_way_is_not_changed(org, ops):
    draft = factories.draft(org, status=DraftStatus.PUSHING)

    answer = ops.patch(f"{CREATE}/{draft.pk}", {"notes": "later"}, format="json")

    assert (answer.status_code, DraftOrder.objects.get().notes) == (409, draft.notes)


def test_a_ready_order_stays_complete(org, ops):
    draft = factories.draft(org, status=DraftStatus.READY)

    answer = ops.patch(f"{CREATE}/{draft.pk}", {"lines": []}, format="json")

    assert problems(answer)["missing"][0]["code"] == "order.no_lines"
    assert draft.lines.count() == 2


def test_review_ends_ready_or_rejected(org, ops):
    lacking, whole, bad = (factories.draft(org, status=DraftStatus.NEEDS_REVIEW) for _ in range(3))
    lacking.lines.filter(line_no=1).update(uom="")

    assert (
        problems(ops.post(f"{CREATE}/{lacking.pk}/ready"))["missing"][0]["message"]
        == "line 1: unit is missing"
    )
    assert ops.post(f"{CREATE}/{whole.pk}/ready").json()["status"] == "READY"
    assert ops.post(f"{CREATE}/{bad.pk}/reject").json()["status"] == "REJECTED"


def test_platform_staff_create_for_the_customers_org(org):
    staff = client_of(None)

    assert post(staff, order(org)).status_code == 201
    assert DraftOrder.objects.get().org == org


def test_a_programmer_finds_the_customer_by_the_erps_number(org, ops):
    wanted = factories.customer(org, erp_customer_number="0815")
    factories.customer(org, erp_customer_number="4711")
    factories.customer(factories.org(), erp_customer_number="0815")

    listed = ops.get("/api/v1/customers?erp_customer_number=0815").json()["results"]

    assert [row["id"] for row in listed] == [str(wanted.pk)]


def test_who_am_i(org):
    told = client_of(org, Role.INTEGRATOR).get("/api/v1/me").json()

    assert (told["org"]["slug"], told["role"]) == (org.slug, "INTEGRATOR")
    assert told["capabilities"] == ["read", "connect", "audit"]
    assert client_of(None).get("/api/v1/me").json()["org"] is None


def test_the_audit_log_is_filtered(org, ops):
    draft = factories.draft(org, status=DraftStatus.READY)
    ops.post(f"{CREATE}/{draft.pk}/approve", headers={"X-Request-ID": "find-me"})
    admin = client_of(org, Role.ADMIN)

    for query in (f"entity_id={draft.pk}", "action=DRAFT_APPROVED", "request_id=find-me"):
        (entry,) = admin.get(f"/api/v1/audit-log?{query}").json()["results"]
        assert (entry["action"], entry["request_id"]) == ("DRAFT_APPROVED", "find-me")
    assert admin.get("/api/v1/audit-log?created_after=2100-01-01T00:00:00Z").json()["results"] == []
