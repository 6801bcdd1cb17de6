"""What the API accepts is what its description says: texts, numbers, codes, ids and dates."""

import pytest
from rest_framework.test import APIClient

from erp_connectors.api.description.examples import EXAMPLES
from erp_connectors.models import ERPConnection
from orderflow.accounts.models import Token
from orderflow.orders.models import Customer, DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.roles import Role
from tests import factories

pytestmark = pytest.mark.django_db
URL = "/api/v1/draft-orders"


@pytest.fixture
def org():
    return factories.org()


@pytest.fixture
def client(org):
    made = APIClient()
    made.credentials(HTTP_AUTHORIZATION=f"Token {Token.objects.create(factories.user(org, Role.ADMIN))[1]}")
    return made


def order(**fields):
    line = {"line_no": 1, "internal_sku": "A", "qty": "1", "uom": "ST", "unit_price": "5", "currency": "EUR"}
    lines = [{**line, **fields.pop("line", {})}]
    return {"external_order_number": "PO-1", "currency": "EUR", "lines": lines, **fields}


def refused(answer):
    """The names of the fields that were refused."""
    assert answer.status_code == 422, answer.content
    return {name.rpartition(".")[2] for name in answer.json()["error"]["details"]}


HEADER_TEXTS = ["external_order_number", "notes"]
LINE_TEXTS = ["internal_sku", "customer_sku_raw", "product_description"]


@pytest.mark.parametrize("sign", ["\0", "\x0b", "\x0c", "\x1b", "\x85", "\ufffe"])
@pytest.mark.parametrize("name", [*HEADER_TEXTS, *LINE_TEXTS])
def test_a_control_character_is_refused_in_every_text(client, name, sign):
    text = {name: f"a{sign}b"}

    answer = client.post(URL, order(**text) if name in HEADER_TEXTS else order(line=text), format="json")

    assert refused(answer) == {name}
    assert not DraftOrder.objects.exists()


@pytest.mark.parametrize("name", ["external_order_number", *LINE_TEXTS])
def test_a_line_break_is_refused_but_in_notes(client, name):
    for text in ("PO-1\nPO-2", "PO-1\n", "\u2028PO-1"):
        fields = {name: text}
        answer = client.post(
            URL, order(**fields) if name in HEADER_TEXTS else order(line=fields), format="json"
        )
        assert refused(answer) == {name}

    assert client.post(URL, order(notes="a\r\nb"), format="json").json()["notes"] == "a\nb"


NUMBERS = [
    {"qty": "1_000"}, {"qty": "\u0663"}, {"qty": "1e3"}, {"qty": " 1"}, {"qty": True}, {"qty": ""}, {"qty": "1,5"},
    {"unit_price": "1_0.5"}, {"unit_price": "+1"}, {"unit_price": "\uff11"},
    {"line_no": "1"}, {"line_no": "\u0661"}, {"line_no": True}, {"line_no": 1.5}, {"line_no": "1_0"},
]  # fmt: skip


@pytest.mark.parametrize("line", NUMBERS, ids=str)
def test_a_number_is_written_as_described(client, line):
    assert refused(client.post(URL, order(line=line), format="json")) == set(line)


@pytest.mark.parametrize(
    "line", [{"qty": 10.5}, {"qty": "10.500"}, {"qty": 3}, {"unit_price": None}], ids=str
)
def test_numbers_as_text_and_as_json_numbers_are_read(client, line):
    assert client.post(URL, order(line=line), format="json").status_code == 201


@pytest.mark.parametrize("code", ["RMB", "QQQ", "XXX", "eur", "EU", "EURO", "E\u00dcR"])
def test_a_currency_is_one_of_iso_4217(client, code):
    assert refused(client.post(URL, order(currency=code), format="json")) == {"currency"}
    assert refused(client.post(URL, order(line={"currency": code}), format="json")) == {"currency"}


def test_a_currency_may_be_empty_and_keeps_the_order_in_review(client):
    answer = client.post(URL, order(currency=""), format="json")

    assert (answer.status_code, answer.json()["status"]) == (201, "NEEDS_REVIEW")


@pytest.mark.parametrize("customer", ["", " ", "4711", 0, True, [], {}])
def test_a_customer_is_an_id_or_null(client, customer):
    assert refused(client.post(URL, order(customer=customer), format="json")) == {"customer"}
    assert client.post(URL, order(customer=None), format="json").status_code == 201


@pytest.mark.parametrize(
    "day", ["20261102", "2026-W45-1", "2026-1-2", "\u0662\u0660\u0662\u0666-11-02", "", "2026-11-02T00:00:00"]
)
def test_a_date_is_written_as_described(client, day):
    assert refused(client.post(URL, order(order_date=day), format="json")) == {"order_date"}


@pytest.mark.parametrize("value", ["yes", "true", 1, 0, "", None])
def test_a_boolean_is_true_or_false(client, value):
    body = {"export_ids": ["00000000-0000-4000-8000-000000000000"], "dry_run": value}

    assert refused(client.post("/api/v1/erp-exports/bulk-retry", body, format="json")) == {"dry_run"}


@pytest.mark.parametrize("path", [URL, "/api/v1/connectors", "/api/v1/auth/login"])
def test_a_key_that_is_there_twice_is_refused_and_named(client, path):
    body = '{"external_order_number": "PO-1", "lines": [{"line_no": 1, "qty": "1", "qty": "2"}]}'

    answer = client.post(path, body, content_type="application/json")

    assert answer.status_code == 422
    assert "the key 'qty' appears twice" in answer.json()["error"]["message"]


def test_an_empty_cursor_is_refused_as_the_description_says(client):
    described = client.get("/api/v1/schema?format=json").json()["paths"][URL]["get"]["parameters"]
    cursor = next(one for one in described if one["name"] == "cursor")

    assert cursor["schema"]["minLength"] == 1
    assert refused(client.get(f"{URL}?cursor=")) == {"cursor"}


def test_the_examples_of_the_description_are_accepted(client, org):
    customer = factories.customer(org, id=EXAMPLES["NewOrder"]["customer"])
    draft = factories.draft(org, customer=customer, status=DraftStatus.READY)

    assert client.post(URL, EXAMPLES["NewOrder"], format="json").status_code == 201
    assert client.patch(f"{URL}/{draft.pk}", EXAMPLES["OrderChange"], format="json").status_code == 200
    new = {**EXAMPLES["NewConnection"], "test_on_save": False}
    assert client.post("/api/v1/connectors", new, format="json").status_code == 201
    change = {**EXAMPLES["ConnectionChange"], "test_on_save": False}
    path = f"/api/v1/connectors/{ERPConnection.objects.get().pk}"
    assert client.patch(path, change, format="json").status_code == 200


SAME = ["PO-1\u200b", "PO\u00ad-1", "\u200ePO-1", "\ufeffPO-1", "PO\u20111", "\uff30O-1"]


@pytest.mark.parametrize("number", SAME, ids=ascii)
def test_keys_are_stored_in_their_normal_form(client, number):
    fields = {"internal_sku": number, "customer_sku_raw": number}
    answer = client.post(URL, order(external_order_number=number, line=fields), format="json")

    assert answer.status_code == 201
    draft = DraftOrder.objects.get(external_order_number=number)  # looked up in the normal form, too
    assert draft.external_order_number == "PO-1"
    assert draft.lines.get().internal_sku == draft.lines.get().customer_sku_raw == draft.external_order_number


def test_a_key_repeats_a_request_whose_order_number_only_looks_the_same(client):
    first = client.post(URL, order(), format="json", HTTP_IDEMPOTENCY_KEY="k")
    again = client.post(
        URL, order(external_order_number="PO\u20111\u200b"), format="json", HTTP_IDEMPOTENCY_KEY="k"
    )

    assert (first.status_code, again.json(), DraftOrder.objects.count()) == (201, first.json(), 1)


def test_customers_are_found_by_a_number_that_looks_the_same(client, org):
    factories.customer(org, erp_customer_number="K-4711")

    found = client.get("/api/v1/customers", {"erp_customer_number": "K\u20114711"}).json()["results"]

    assert [one["erp_customer_number"] for one in found] == ["K-4711"]
    assert Customer.objects.filter(erp_customer_number="\ufeffK-4711").exists()
