"""Whatever is sent, the answer is an envelope that says what was wrong, never a 500."""

from io import BytesIO
from urllib.parse import quote

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from erp_connectors.api.common.parsing import ExactJSON
from orderflow.accounts.models import Token
from orderflow.orders.models import DraftOrder
from orderflow.tenancy.roles import Role
from tests import factories

SFTP = '"mode": "sftp", "host": "h", "username": "u", "export_path": "/in"'
ODD_BODIES = [
    f'{{"config": {{{SFTP}, "password": "\\ud800"}}}}',
    f'{{"config": {{{SFTP}, "password": "p", "port": 1{"0" * 400}}}}}',
    f'{{"config": {{{SFTP}, "password": "p", "io_timeout": NaN}}}}',
    '{"config": {"mode": ["sftp"], "export_path": {}, "host_key": 5}}',
    '{"config": []}',
    "[" * 100_000,
    "[]",
    "null",
    '"text"',
    "1" * 5000,
    "",
    b"\xff\xfe",
]
ODD_QUERIES = [
    "draft-orders?search=%00",
    "draft-orders?status=NONE",
    "draft-orders?customer=x",
    "draft-orders?customer=",
    "draft-orders?limit=many",
    "draft-orders?limit=0",
    "draft-orders?limit=-1",
    "draft-orders?limit=",
    "draft-orders?status=",
    "erp-exports?created_before=",
    "erp-exports?overdue=",
    "draft-orders?cursor=abc",
    f"draft-orders?cursor={quote('cD1hYmM=')}",
    f"draft-orders?cursor={quote('cD0lMDA=')}",
    "erp-exports?draft_order_id=1",
    "erp-exports?created_after=yesterday",
    "erp-exports?created_after=0001-01-01T00:00:00%2B14:00",
]


@pytest.fixture
def org(db):
    return factories.org()


@pytest.fixture
def client(org):
    made = APIClient(raise_request_exception=False)
    made.credentials(HTTP_AUTHORIZATION=f"Token {Token.objects.create(factories.user(org, Role.ADMIN))[1]}")
    return made


def is_explained(answer, status=422, code="VALIDATION_ERROR"):
    body = answer.json()["error"]
    return (answer.status_code, body["code"]) == (status, code) and bool(body["message"])


@pytest.mark.parametrize(
    "path", ["auth/login", "connectors", "connectors/dropzone-json-v1/test", "connectors/test-config"]
)
def test_an_odd_body_is_refused_in_words(client, path):
    taken = [
        body
        for body in ODD_BODIES
        if not is_explained(client.post(f"/api/v1/{path}", body, content_type="application/json"))
    ]
    assert taken == []


@pytest.mark.parametrize("path", ["auth/login", "connectors", "connectors/dropzone-json-v1/test"])
def test_a_body_that_is_too_large_is_refused_in_words(client, path):
    answer = client.post(f"/api/v1/{path}", " " * (ExactJSON.max_body + 1), content_type="application/json")

    assert is_explained(answer, 413, answer.json()["error"]["code"])
    assert "larger than" in answer.json()["error"]["message"]


@pytest.mark.parametrize("body", ["[]", '"text"', "{", '{"a": 1, "a": 2}'])
def test_a_body_that_is_no_object_has_its_details_under_body(client, body):
    answer = client.post("/api/v1/connectors", body, content_type="application/json")

    error = answer.json()["error"]
    assert (answer.status_code, list(error["details"])) == (422, ["body"])
    assert "malformed" not in error["message"]


def test_an_odd_query_is_refused_in_words(client):
    answers = {query: client.get(f"/api/v1/{query}") for query in ODD_QUERIES}

    assert [query for query, answer in answers.items() if not is_explained(answer)] == []
    assert [query for query, answer in answers.items() if not answer.json()["error"]["details"]] == []


@pytest.mark.parametrize("key", ["", "a" * 256, "ä"])
def test_an_odd_idempotency_key_is_refused(client, org, key):
    order = factories.draft(org)

    answer = client.post(f"/api/v1/draft-orders/{order.pk}/push", HTTP_IDEMPOTENCY_KEY=key)

    assert is_explained(answer)


def test_an_order_without_a_connection_is_refused_and_left_alone(client, org):
    order = factories.draft(org)

    answer = client.post(f"/api/v1/draft-orders/{order.pk}/push")

    assert is_explained(answer, 409, "CONFLICT")
    assert "set one up" in answer.json()["error"]["message"]
    order.refresh_from_db()
    assert order.status == "APPROVED"


def test_wrong_method_host_and_accept_have_the_same_shape(client):
    assert is_explained(client.delete("/api/v1/draft-orders"), 405)
    assert is_explained(client.get("/api/v1/draft-orders", HTTP_HOST="elsewhere"), 400)
    assert is_explained(client.get("/api/v1/draft-orders", HTTP_ACCEPT="text/html"), 406)


def test_a_bug_has_the_same_shape_and_tells_nothing(client, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("inner detail")

    monkeypatch.setattr("erp_connectors.api.orders.views.approve", fail)
    answer = client.post(f"/api/v1/draft-orders/{factories.draft(factories.org()).pk}/approve")

    assert is_explained(answer, 500, "INTERNAL_ERROR")
    assert "inner detail" not in answer.content.decode()


def test_a_foreign_customer_filters_like_an_unknown_one(client):
    foreign = factories.customer(factories.org())

    for customer in (foreign.pk, "00000000-0000-4000-8000-000000000000"):
        answer = client.get(f"/api/v1/draft-orders?customer={customer}")
        assert (answer.status_code, answer.json()["results"]) == (200, [])


def test_pages_go_on_through_many_rows_of_one_time(client, org):
    customer, now = factories.customer(org), timezone.now()
    DraftOrder.objects.bulk_create(DraftOrder(org=org, customer=customer, created_at=now) for _ in range(730))

    seen, url = set(), "/api/v1/draft-orders?limit=100"
    for _ in range(20):
        page = client.get(url).json()
        seen |= {row["id"] for row in page["results"]}
        url = page["next"]
        if not url:
            break

    assert url is None
    assert len(seen) == 730


def test_the_documentation_loads_nothing_from_elsewhere(db):
    page = APIClient().get("/api/v1/docs").content.decode()

    assert 'src="http' not in page
    assert 'href="http' not in page


@pytest.mark.parametrize("method", ["get", "post", "patch", "delete"])
def test_an_unknown_route_is_a_404_for_every_method(db, method):
    programs = APIClient(enforce_csrf_checks=True)

    assert is_explained(getattr(programs, method)("/api/v1/draft-orders/a.b"), 404, "NOT_FOUND")


@pytest.mark.parametrize("notes", [8543314318698723, True, ["a"], {}])
def test_what_is_no_text_is_not_made_one(client, org, notes):
    order = factories.draft(org)

    answer = client.patch(f"/api/v1/draft-orders/{order.pk}", {"notes": notes}, format="json")

    assert is_explained(answer)
    assert set(answer.json()["error"]["details"]) == {"notes"}


def test_blanks_at_the_ends_count_as_length(client, org):
    order = factories.draft(org)
    given = {"external_order_number": "x" * 100 + " "}

    answer = client.patch(f"/api/v1/draft-orders/{order.pk}", given, format="json")

    assert is_explained(answer)
    assert set(answer.json()["error"]["details"]) == {"external_order_number"}


@pytest.mark.parametrize("odd", [True, 5, None, "x", {}])
def test_what_is_no_id_is_not_made_one(client, odd):
    answer = client.post("/api/v1/erp-exports/bulk-retry", {"export_ids": [odd]}, format="json")

    assert is_explained(answer)
    assert set(answer.json()["error"]["details"]) == {"export_ids.0"}


@pytest.mark.parametrize("path", ["/api/v1/draft-orders", "/api/v1/auth/login", "/admin/login/"])
def test_a_chunked_body_is_refused_if_the_server_does_not_mark_its_end(client, path):
    """Through gunicorn, which does, `tests/orderflow/test_chunked_bodies.py` shows that it is read."""
    answer = client.post(path, "{}", content_type="application/json", HTTP_TRANSFER_ENCODING="chunked")

    assert answer.status_code == 411
    assert not DraftOrder.objects.exists()


def test_a_chunked_body_that_breaks_off_is_a_400(client):
    class Broken(BytesIO):
        def read(self, size=-1):
            raise RuntimeError("invalid chunk size")

    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True, "wsgi.input": Broken()}
    answer = client.generic("POST", "/api/v1/draft-orders", content_type="application/json", **chunked)

    assert is_explained(answer, 400)
