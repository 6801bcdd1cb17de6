"""Every page of the admin and every route of the API, by every method, as each role: nothing of the other org's."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from erp_connectors.bulk.models import BulkRun
from erp_connectors.models import AckFile, ERPConnection, ERPExport
from erp_connectors.outbox.models import Subscription
from orderflow.accounts.models import Token
from orderflow.audit.models import AuditLog
from orderflow.idempotency.models import KeyedRequest
from orderflow.orders.models import Customer, Document, DraftOrder
from orderflow.tenancy.models import Org, User
from orderflow.tenancy.roles import Role
from tests.tenants.twins import (
    ACCEPTED,
    APPROVED,
    MARK,
    NOBODYS,
    OWNERS,
    READY,
    REFUSED,
    REVIEW,
    SENT,
    UNMARKED,
    mine,
    state,
    tokens,
    told_of,
    unmarked,
)
from tests.web.test_every_route import NOBODY, every_path

pytestmark = pytest.mark.deep

# What stands in an address before an id, and whose ids fit there; the first that matches.
IDS: tuple[tuple[str, Any], ...] = (
    ("/admin/audit/auditlog/", AuditLog),
    ("/admin/bulk/bulkrun/", BulkRun),
    ("/admin/erp_connectors/ackfile/", AckFile),
    ("/admin/erp_connectors/erpconnection/", ERPConnection),
    ("/admin/erp_connectors/erpexport/", ERPExport),
    ("/admin/notify/subscription/", Subscription),
    ("/admin/orders/customer/", Customer),
    ("/admin/orders/document/", Document),
    ("/admin/orders/draftorder/", DraftOrder),
    ("/admin/tenancy/org/", Org),
    ("/admin/tenancy/user/", User),
    ("/api/v1/ack-files/", AckFile),
    ("/api/v1/auth/tokens/", Token),
    ("/api/v1/connectors/", ERPConnection),
    ("/api/v1/draft-orders/", DraftOrder),
    ("/api/v1/erp-exports/", ERPExport),
)
# Ids of no row: of a kind of object, the app's name, a page that isn't there, the name of a schema.
NO_ROW = {
    f"/admin/{NOBODY}",
    f"/admin/{NOBODY}/",
    f"/admin/r/{NOBODY}/{NOBODY}/",
    f"/api/v1/schemas/{NOBODY}",
}
# What ends the session, what is the same for everybody and slow, and what knocks at the server.
APART = ("/logout", "/logout/", "/schema", "/docs", "/readyz", "/test/")
ACTIONS = ("retry", "push", "approve", "ready", "reject", "dismiss")
ORDER_FOR = {"approve": READY, "push": APPROVED, "retry-push": REFUSED, "retry": REFUSED}
EXPORT_FOR = {"mark-accepted": SENT, "mark-refused": SENT, "retry": REFUSED}
# Asked for by a part of the mark, as what is asked for is repeated in the answer.
PART = MARK[:-2]


def ids(model: Any, of: Any) -> list[str]:
    if model is Token:
        return [str(token.public_id) for token in mine(Token, of.org)]
    return [str(row) for row in mine(model, of.org).order_by("pk").values_list("pk", flat=True)]


def fit(model: Any, of: Any, action: str) -> str:
    """A row that the action is right for, so that nothing but whose it is stands before it."""
    if model is DraftOrder:
        return str(of.orders[ORDER_FOR.get(action, REVIEW)].pk)
    if model is ERPExport:
        return str(of.export(EXPORT_FOR.get(action, ACCEPTED)).pk)
    return ids(model, of)[0]


def addresses(of: Any) -> Iterator[str]:
    """Every route there is, with that org's ids where it has some."""
    for path in every_path():
        if path in NO_ROW or str(NOBODY) not in path:
            yield path
            continue
        model = next((model for begin, model in IDS if path.startswith(begin)), None)
        assert model, f"whose ids fit in {path}?"
        for action in ACTIONS if path.endswith(f"/do/{NOBODY}/") else ("",):
            first = fit(model, of, action or path.rstrip("/").rpartition("/")[2])
            whole = path.replace(f"/do/{NOBODY}/", f"/do/{action}/").replace(str(NOBODY), first)
            yield whole.replace("/ackfile/7/", f"/ackfile/{first}/").replace(
                "/ack/7/", f"/ack/{ids(AckFile, of)[0]}/"
            )


def clients(twin: Any, role: Role) -> tuple[Client, APIClient]:
    browser, program = Client(raise_request_exception=False), APIClient(raise_request_exception=False)
    browser.force_login(twin.users[role])
    program.force_authenticate(twin.users[role])
    return browser, program


def text(answer: Any) -> str:
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return body.decode("utf-8", "replace") + json.dumps(dict(answer.headers))


class Watch:
    """Looks in answers for whatever tells of the other org."""

    def __init__(self, other: Any) -> None:
        self.tokens = tokens(other)
        self.asked = ""
        self.answers = 0
        self.told: list[tuple[str, str]] = []

    def look(self, what: str, answer: Any, asked: str) -> None:
        # What was asked for by its id is repeated, by Django also on the next page: that it is not there.
        self.asked += f" {asked.lower()}"
        self.answers += 1
        body = text(answer).lower()
        self.told += [(what, token) for token in self.tokens if token in body and token not in self.asked]


def test_every_model_is_an_orgs_or_nobodys(full):
    known = {model._meta.label for model in OWNERS} | NOBODYS

    assert {model._meta.label for model in apps.get_models()} == known
    for twin in full:
        assert [model.__name__ for model in OWNERS if not mine(model, twin.org).exists()] == []


def test_every_text_of_the_other_is_marked(full):
    assert unmarked(full[1]) - UNMARKED == set()
    assert told_of(full[1], json.dumps(state(full[0].org), default=str)) == set()


def test_nothing_of_the_other_is_shown(full):
    one, other = full
    paths = [path for of in full for path in addresses(of) if not path.endswith(APART)]
    for role in Role:
        browser, program = clients(one, role)
        watch = Watch(other)
        for path in paths:
            answer = (program if path.startswith("/api/") else browser).get(path)
            watch.look(path, answer, path)
            assert answer.status_code < 500, path

        assert (role, watch.told) == (role, [])
        assert watch.answers > 200


@pytest.mark.parametrize("role", [*Role, None])
def test_nothing_of_the_other_is_changed_by_any_method(full, role):
    one, other = full
    browser, program = clients(one, role) if role else (Client(), APIClient())
    before, watch = state(other.org), Watch(other)
    for path in addresses(other):
        if re.search("log(in|out)|password_change", path):
            continue
        for method in ("post", "put", "patch", "delete") if path.startswith("/api/") else ("post",):
            for answer in tried(browser, program, method, path, other):
                watch.look(f"{method} {path}", answer, path + given(other))
    for path in lists():
        model = model_of(path)
        for action in actions(model):
            chosen = {
                "action": action,
                "_selected_action": ids(model, other),
                "post": "yes",
                "select_across": "1",
            }
            watch.look(f"{action} {path}", browser.post(path, chosen), " ".join(ids(model, other)))

    assert watch.told == []
    assert state(other.org) == before


def test_nothing_of_the_other_is_put_into_ones_own_rows(full):
    """One's own pages and routes, given ids of the other's."""
    one, other = full
    browser, program = clients(one, Role.ADMIN)
    before = state(other.org)
    for path in addresses(one):
        if re.search("log(in|out)|password|unlock|second-factor|/user/", path):
            continue
        for method in ("post", "patch") if path.startswith("/api/") else ("post",):
            tried(browser, program, method, path, other)
    order, customer = fit(DraftOrder, one, "change"), ids(Customer, other)[0]
    page = reverse("admin:orders_draftorder_change", args=[order])
    form = {
        "customer": customer, "external_order_number": "PO-1", "currency": "EUR", "lines-TOTAL_FORMS": "0",
        "lines-INITIAL_FORMS": "0", "_save": "1",
    }  # fmt: skip
    assert browser.post(page, form).status_code == 200
    assert DraftOrder.objects.get(pk=order).customer.org == one.org

    assert state(other.org) == before
    named = json.dumps([state(one.org)[model.__name__] for model in OWNERS if model not in SAID], default=str)
    assert told_of(other, named) == set()


# The answer to a request with a key is kept, and repeats what was asked for: that there is no such export.
SAID = (KeyedRequest,)


def given(other: Any) -> str:
    """What the bodies below name, and an answer may repeat."""
    return " ".join([*ids(ERPExport, other), ids(Customer, other)[0], ids(ERPConnection, other)[0]])


def tried(browser: Client, program: APIClient, method: str, path: str, other: Any) -> list[Any]:
    """With ids of the other's wherever a body can name something."""
    customer, connection = ids(Customer, other)[0], ids(ERPConnection, other)[0]
    if not path.startswith("/api/"):
        form = {
            "note": "x", "erp_order_id": "1", "status": "DISABLED", "customer": customer, "connection": connection,
            "name": "x", "org": str(other.org.pk), "channel": "EMAIL", "addresses": "x@example.com", "language": "en",
            "role": "ADMIN", "email": "x@example.com", "events": ["failed"], "password1": "x", "password2": "x",
            "confirm": "1", "post": "yes", "connector_type": "DROPZONE_JSON_V1",
        }  # fmt: skip
        return [browser.post(path, form)]
    bodies: list[dict[str, Any]] = [
        {"customer": customer, "currency": "EUR", "lines": []},
        {"note": "x", "erp_order_id": "1"},
        {"export_ids": ids(ERPExport, other)},
        {"status": "DISABLED", "config": {"export_path": "/elsewhere"}},
    ]
    answers: list[Any] = []
    for body in bodies:
        send = getattr(program, method)
        answers.append(send(path, body, format="json", headers={"Idempotency-Key": "key-1"}))
        if answers[-1].status_code == 405:  # whatever the body
            break
    return answers


def lists() -> list[str]:
    return [
        path for path in every_path() if any(path == begin for begin, _ in IDS if begin.startswith("/admin/"))
    ]


def model_of(path: str) -> Any:
    return next(model for begin, model in IDS if path.startswith(begin))


def actions(model: Any) -> list[str]:
    offered = admin.site._registry[model].actions or ()
    return [
        *(action if isinstance(action, str) else action.__name__ for action in offered),
        "delete_selected",
    ]


def questions(other: Any) -> Iterator[dict[str, Any]]:
    yield from ({"search": PART}, {"q": PART}, {"limit": 100}, {"ordering": "-id"}, {"o": "-1"}, {"p": "0"})
    ids_of = {
        "customer": Customer, "draft_order_id": DraftOrder, "entity_id": ERPExport, "actor": User, "org": Org,
        "org__id__exact": Org, "connection": ERPConnection, "connection__id__exact": ERPConnection,
    }  # fmt: skip
    for name, model in ids_of.items():
        yield {name: ids(model, other)[0]}
    for name in ("status", "action"):
        for value in ("ACKED", "READY", "APPROVED", "LOGIN_SUCCEEDED"):
            yield {name: value}
    yield from (
        {"erp_customer_number": "4711"},
        {"created_after": "2000-01-01T00:00:00Z"},
        {"overdue": "true"},
    )


def test_no_list_of_the_api_tells_of_the_other_whatever_it_is_asked(full):
    one, other = full
    asked = [urlencode(question) for question in questions(other)]
    paths = [path for path in every_path() if path.startswith("/api/v1/") and path.count("/") == 3]
    for role in Role:
        _, program = clients(one, role)
        watch = Watch(other)
        for path in paths:
            for question in asked if not path.endswith(APART) else ():
                watch.look(f"{path}?{question}", program.get(f"{path}?{question}"), question)

        assert (role, watch.told) == (role, [])


def test_a_page_of_the_other_orgs_list_is_no_page_of_ours(full):
    """A cursor is a place in a list, and holds for any: what it lists is one's own all the same."""
    one, other = full
    _, theirs = clients(other, Role.ADMIN)
    _, ours = clients(one, Role.ADMIN)
    watch = Watch(other)
    for path in ("/api/v1/draft-orders", "/api/v1/erp-exports", "/api/v1/customers", "/api/v1/audit-log"):
        page = theirs.get(path, {"limit": 1}).json()
        while page["next"]:
            watch.look(page["next"], ours.get(page["next"]), "")
            page = theirs.get(page["next"]).json()

    assert (watch.told, watch.answers > 20) == ([], True)


def test_the_same_key_for_the_same_request_is_each_orgs_own(full):
    """Both send the same order under the same Idempotency-Key; neither gets the other's answer."""
    for twin in full:
        _, program = clients(twin, Role.OPS)
        body = {
            "customer": ids(Customer, twin)[0],
            "external_order_number": "PO-99",
            "currency": "EUR",
            "lines": [],
        }
        answer = program.post(
            "/api/v1/draft-orders", body, format="json", headers={"Idempotency-Key": "key-9"}
        )
        assert answer.status_code == 201
        assert str(answer.json()["id"]) in ids(DraftOrder, twin)


def test_a_token_is_of_one_org(full):
    one, other = full
    _, token = Token.objects.create(one.users[Role.ADMIN])
    program, watch = APIClient(), Watch(other)
    for path in ("/api/v1/me", "/api/v1/auth/tokens", "/api/v1/draft-orders", "/api/v1/customers"):
        answer = program.get(path, headers={"Authorization": f"Token {token}"})
        watch.look(path, answer, "")
        assert answer.status_code == 200
    gone = f"/api/v1/erp-exports/{other.export(ACCEPTED).pk}/payload"
    assert program.get(gone, headers={"Authorization": f"Token {token}"}).status_code == 404
    assert watch.told == []


def test_nobody_without_their_word_sees_figures_of_all(full):
    browser, program = clients(full[0], Role.ADMIN)
    for client in (browser, program, Client()):
        assert client.get("/metrics").status_code == 404


def test_the_marks_are_seen_by_those_who_may_see_them(full):
    """Else the walk would find nothing for having looked for nothing."""
    other = full[1]
    browser, program = clients(other, Role.ADMIN)
    for path in (reverse("admin:orders_customer_changelist"), "/api/v1/draft-orders", "/api/v1/audit-log"):
        assert tokens(other) & told_of(other, text((program if "/api/" in path else browser).get(path)))
