"""The same key and the same request: the same answer, and the work done once."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from erp_connectors.api.orders import views as orders_api
from erp_connectors.models import ERPExport
from orderflow.accounts.models import Token
from orderflow.idempotency import services
from orderflow.idempotency.models import KeyedRequest
from orderflow.idempotency.services import IdempotentRequest, StillRunning, StoredResponse, forget_old, once
from orderflow.orders.drafting import create_draft
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.roles import Role
from tests import factories
from tests.services.delivery.test_concurrency import THREADS, together

CREATE = "/api/v1/draft-orders"
KEYED = IdempotentRequest("org 1", "POST /x", "k", "f")


@pytest.fixture
def org(db, tmp_path):
    made = factories.org()
    factories.connection(made, {"mode": "filesystem", "export_path": str(tmp_path)})
    return made


def client_of(org, role=Role.OPS):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {Token.objects.create(factories.user(org, role))[1]}")
    return client


def create(client, key="k-1", **body):
    return client.post(CREATE, body, format="json", headers={"Idempotency-Key": key})


def test_a_repeated_order_is_created_once_and_answered_the_same(org):
    client = client_of(org)

    first, second = create(client, notes="x"), create(client, notes="x")

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert ("Idempotency-Replayed" in first, second["Idempotency-Replayed"]) == (False, "true")
    assert DraftOrder.objects.count() == 1


def test_the_order_of_keys_in_the_body_does_not_matter(org):
    client = client_of(org)
    for body in ('{"notes": "x", "currency": "EUR"}', '{"currency": "EUR", "notes": "x"}'):
        answer = client.post(CREATE, body, content_type="application/json", headers={"Idempotency-Key": "k"})
        assert answer.status_code == 201

    assert DraftOrder.objects.count() == 1


def test_the_same_key_with_another_request_is_refused(org):
    client = client_of(org)
    create(client, notes="x")

    answer = create(client, notes="y")

    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["Idempotency-Key"][0]["code"] == "key_reused"
    assert DraftOrder.objects.count() == 1


def test_a_key_counts_within_its_org_and_route_only(org):
    other = factories.org()
    assert create(client_of(org), notes="x").status_code == 201
    assert create(client_of(org, Role.ADMIN), notes="x")["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in create(client_of(other), notes="x")
    for _ in range(2):
        order = factories.draft(org, status=DraftStatus.READY)
        answer = client_of(org).post(f"{CREATE}/{order.pk}/approve", headers={"Idempotency-Key": "k-1"})
        assert (answer.status_code, answer.json()["id"]) == (200, str(order.pk))


def test_a_refusal_is_not_kept_so_the_request_can_be_sent_again(org):
    order, client = factories.draft(org, status=DraftStatus.READY), client_of(org)
    push = f"{CREATE}/{order.pk}/push"
    assert client.post(push, headers={"Idempotency-Key": "k"}).status_code == 409
    assert not KeyedRequest.objects.exists()
    client.post(f"{CREATE}/{order.pk}/approve")

    answers = [client.post(push, headers={"Idempotency-Key": "k"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 200]
    assert answers[0].json() == answers[1].json()
    assert ERPExport.objects.get().idempotency_key == "k"


def test_while_the_first_is_at_work_the_second_is_told_to_ask_again(org, monkeypatch):
    client, seen = client_of(org), []

    def slow(*args, **kwargs):
        seen.append(create(client_of(org), notes="x"))
        return create_draft(*args, **kwargs)

    monkeypatch.setattr(f"{orders_api.__name__}.create_draft", slow)
    assert create(client, notes="x").status_code == 201

    (second,) = seen
    assert (second.status_code, second["Retry-After"]) == (409, "1")
    assert "still at work" in second.json()["error"]["message"]


def test_a_failure_in_the_middle_leaves_nothing_and_frees_the_key(org, monkeypatch):
    client = client_of(org)

    def broken(*args, **kwargs):
        create_draft(*args, **kwargs)
        raise RuntimeError("in the middle")

    with monkeypatch.context() as patched:
        patched.setattr(f"{orders_api.__name__}.create_draft", broken)
        assert create(client, notes="x").status_code == 500

    assert not DraftOrder.objects.exists()
    assert create(client, notes="x").status_code == 201


def test_a_claim_whose_process_died_is_taken_over_after_a_while(db):
    now = timezone.now()
    KeyedRequest.objects.create(
        scope=KEYED.scope, operation=KEYED.operation, key=KEYED.key, fingerprint="f", token="dead",
        until=now + timedelta(seconds=5),
    )  # fmt: skip
    with pytest.raises(StillRunning):
        once(KEYED, lambda: StoredResponse(200, "{}"))
    KeyedRequest.objects.update(until=now - timedelta(seconds=1))

    assert once(KEYED, lambda: StoredResponse(200, "{}")) == (StoredResponse(200, "{}"), False)


def test_one_that_was_taken_over_undoes_its_work(db):
    def slow():
        factories.org(slug="made-too-late")
        KeyedRequest.objects.update(token="another")
        return StoredResponse(201, "{}")

    with pytest.raises(StillRunning):
        once(KEYED, slow)

    assert not type(factories.org()).objects.filter(slug="made-too-late").exists()


def test_a_key_is_forgotten_after_a_day(db):
    assert once(KEYED, lambda: StoredResponse(200, "1")) == (StoredResponse(200, "1"), False)
    assert once(KEYED, lambda: StoredResponse(200, "2")) == (StoredResponse(200, "1"), True)
    KeyedRequest.objects.update(created_at=timezone.now() - services.KEPT - timedelta(seconds=1))

    assert once(KEYED, lambda: StoredResponse(200, "3")) == (StoredResponse(200, "3"), False)
    assert forget_old() == 0
    KeyedRequest.objects.update(created_at=timezone.now() - services.KEPT - timedelta(seconds=1))
    assert forget_old() == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "ä", "tab\t"])
def test_a_key_that_is_none_is_refused(org, key):
    answer = client_of(org).post(CREATE, {}, format="json", headers={"Idempotency-Key": key})

    assert answer.status_code == 422
    assert "printable ASCII" in answer.json()["error"]["details"]["Idempotency-Key"][0]["message"]


@pytest.mark.django_db(transaction=True)
def test_many_at_once_do_it_once():
    org = factories.org()
    clients = [client_of(org) for _ in range(THREADS)]

    answers = together(lambda: create(clients.pop(), notes="x"))

    statuses = sorted(answer.status_code for answer in answers)
    assert set(statuses) <= {201, 409}
    assert statuses[0] == 201
    assert DraftOrder.objects.count() == 1
    done = [answer for answer in answers if answer.status_code == 201]
    assert len({json.dumps(answer.json(), sort_keys=True) for answer in done}) == 1
    assert sum("Idempotency-Replayed" not in answer for answer in done) == 1
    assert create(client_of(org), notes="x").json() == done[0].json()


def test_an_order_on_its_way_that_is_pushed_with_a_new_key_names_its_export(org):
    draft, client = factories.draft(org), client_of(org)
    url = f"{CREATE}/{draft.pk}/push"
    export = client.post(url, headers={"Idempotency-Key": "k-1"}).json()["erp_export_id"]

    error = client.post(url, headers={"Idempotency-Key": "k-2"}).json()["error"]

    assert (error["code"], error["details"]) == ("CONFLICT", {})
    assert (error["reason"]["code"], error["reason"]["params"]["export"]) == ("push.on_its_way", export)
    assert "is on its way" in error["message"]


@pytest.mark.parametrize("pk", ["%00", "a%00b", "%E4"])
def test_a_key_with_an_id_that_no_order_can_have_is_not_found(db, pk):
    client = client_of(factories.org())

    answer = client.post(f"/api/v1/draft-orders/{pk}/push", headers={"Idempotency-Key": "k1"})

    assert answer.status_code == 404
