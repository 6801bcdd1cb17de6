"""No parameter, header or empty body is ignored: each route honours it, or refuses the request and names it."""

from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.urls import resolve
from drf_spectacular.generators import EndpointEnumerator, SchemaGenerator
from rest_framework.test import APIClient

from erp_connectors.api.common.strict import CONDITIONS, HEADERS, HEADERS_OF_CHANGES, Strict
from orderflow.accounts.models import Token
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.roles import Role
from tests import factories
from tests.api.actors import make_world, sent, target
from tests.api.test_roles import body

API = "/api/v1/"
# They answer as HTML and YAML.
NO_JSON = ("GET docs", "GET schema")
ID = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def world(db, tmp_path, settings):
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    settings.WRITES_PER_MINUTE = settings.LOGINS_PER_MINUTE = 100_000
    return make_world(tmp_path)


@pytest.fixture
def user(world):
    return factories.user(world.ours, Role.ADMIN)


@pytest.fixture
def client(user):
    made = APIClient()
    made.credentials(HTTP_AUTHORIZATION=f"Token {Token.objects.create(user)[1]}")
    return made


def endpoints():
    """Each route and method of the API, from the site's own table of routes."""
    return sorted(
        (f"{method} {path.removeprefix(API)}".replace("{pk}", "{id}"), callback)
        for path, _, method, callback in EndpointEnumerator().get_api_endpoints()
        if path.startswith(API)
    )


def call(client, world, user, route, *, query="", **headers):
    method, path = route.split(" ")
    if "{id}" in path:
        path = path.replace("{id}", str(target(world, route, user)))
    path = path.replace("{name}", "orderflow_ack_v1.schema.json")
    sends = {"data": body(world, route, user), "format": "json"} if method in ("POST", "PATCH") else {}
    with transaction.atomic():
        answer = getattr(client, method.lower())(f"{API}{path}{query}", headers=headers, **sends)
        transaction.set_rollback(True)
    return answer


def refused(answer):
    if not answer.get("Content-Type", "").startswith("application/json"):
        return answer.status_code
    return set(answer.json()["error"]["details"]) if answer.status_code == 422 else answer.status_code


def test_every_route_refuses_a_query_parameter_that_it_does_not_know(client, world, user):
    answers = {route: call(client, world, user, route, query="?colour=red") for route, _ in endpoints()}

    said = {route: refused(answer) for route, answer in answers.items()}
    assert {said.pop(route) for route in NO_JSON} == {422}
    assert {route: names for route, names in said.items() if names != {"colour"}} == {}


def test_every_route_honours_each_header_that_changes_the_request_or_refuses_it(client, world, user):
    wrong = {}
    for route, callback in endpoints():
        watched = HEADERS if route.startswith("GET ") else HEADERS_OF_CHANGES
        method = route.partition(" ")[0].lower()
        name = getattr(callback, "actions", {}).get(method, method)
        honoured = getattr(getattr(callback.cls, name), "honoured_headers", ())
        headers = set(watched) - set(honoured)
        said = refused(call(client, world, user, route, **dict.fromkeys(headers, '"x"')))
        if said != (422 if route in NO_JSON else headers):
            wrong[route] = said
    assert wrong == {}


def test_a_key_is_honoured_by_each_change_of_orders_and_exports_and_by_nothing_else():
    honouring = set()
    for route, callback in endpoints():
        method = route.partition(" ")[0].lower()
        name = getattr(callback, "actions", {}).get(method, method)
        if "Idempotency-Key" in getattr(getattr(callback.cls, name), "honoured_headers", ()):
            honouring.add(route)

    changes = {route for route, _ in endpoints() if not route.startswith("GET ")}
    assert honouring == {
        route for route in changes if route.split(" ")[1].startswith(("draft-orders", "erp-exports"))
    }


def test_every_view_of_the_api_is_strict():
    assert [route for route, callback in endpoints() if not issubclass(callback.cls, Strict)] == []


def test_the_parameters_that_are_known_are_those_that_are_described():
    """Also that each header a route honours is described."""
    described = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    wrong = {}
    for path, methods in described.items():
        concrete = path.replace("{id}", ID).replace("{name}", "x")
        callback: Any = resolve(concrete).func
        for method, operation in methods.items():
            view = callback.cls(**getattr(callback, "initkwargs", {}))
            view.action = getattr(callback, "actions", {}).get(method, method)
            told = {one["name"] for one in operation.get("parameters", []) if one["in"] == "query"}
            known = set(view.known_parameters()) - {"format"}
            if told - {"format"} != known:
                wrong[method, path] = told ^ known
    assert wrong == {}


def test_the_payload_honours_conditions(client, world):
    export = sent(world)
    url = f"{API}erp-exports/{export.pk}/payload"

    assert client.get(url, headers={"If-Match": f'"{export.sha256}"'}).status_code == 200
    assert client.get(url, headers={"If-None-Match": f'"{export.sha256}"'}).status_code == 304
    for header, value in zip(CONDITIONS, ('"other"', "Mon, 01 Jan 2001 00:00:00 GMT"), strict=True):
        answer = client.get(url, headers={header: value})
        assert (answer.status_code, answer.json()["error"]["code"]) == (412, "PRECONDITION_FAILED")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("erp-exports?overdue=maybe", "overdue"),
        ("erp-exports?overdue=true&overdue=false", "overdue"),
        (f"draft-orders?customer={ID}&customer={ID}", "customer"),
        ("draft-orders?limit=1&limit=2", "limit"),
        ("draft-orders?Status=READY", "Status"),
        (f"erp-exports/{ID}/events?status=SENT", "status"),
        ("customers?erp_customer_number=", "erp_customer_number"),
        ("audit-log?actor=", "actor"),
    ],
)
def test_a_query_that_would_be_ignored_is_refused(client, query, named):
    assert refused(client.get(f"{API}{query}")) == {named}


@pytest.mark.parametrize("value", ["true", "false", "1", "0", "True"])
def test_overdue_is_true_or_false(client, value):
    assert client.get(f"{API}erp-exports?overdue={value}").status_code == 200


@pytest.mark.parametrize("sent_body", ["", "{}"])
@pytest.mark.parametrize("path", ["POST draft-orders", "PATCH draft-orders/{id}", "PATCH connectors/{id}"])
def test_an_empty_body_is_refused_and_changes_nothing(client, world, user, path, sent_body):
    method, url = path.split(" ")
    draft = factories.draft(world.ours, status=DraftStatus.APPROVED)
    url = url.replace("{id}", str(world.connection.pk if "connectors" in url else draft.pk))

    answer = getattr(client, method.lower())(f"{API}{url}", sent_body, content_type="application/json")

    assert refused(answer) == {"body"}
    assert [order.status for order in DraftOrder.objects.all()] == ["APPROVED"]


def test_a_change_that_is_repeated_with_its_key_is_made_once(client, world):
    draft = factories.draft(world.ours, status=DraftStatus.READY)
    url, key = f"{API}draft-orders/{draft.pk}", {"Idempotency-Key": "k-1"}

    first = client.patch(url, {"notes": "a"}, format="json", headers=key)
    client.patch(url, {"notes": "b"}, format="json")
    again = client.patch(url, {"notes": "a"}, format="json", headers=key)

    assert (first.status_code, again.json(), again["Idempotency-Replayed"]) == (200, first.json(), "true")
    draft.refresh_from_db()
    assert draft.notes == "b"


def test_the_description_of_the_api_and_its_page_open_as_before(client):
    assert settings.ROOT_URLCONF  # the site's, not a test's
    for query in ("schema", "schema?format=json", "schema?lang=de", "docs", "docs?script="):
        assert client.get(f"{API}{query}").status_code == 200, query


def routes_without_body():
    """From the description: what is not described there is read by nothing."""
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    for path, methods in paths.items():
        for method in set(methods) & {"post", "patch", "put", "delete"}:
            if "requestBody" not in methods[method]:
                yield f"{method.upper()} {path.removeprefix(API)}"


@pytest.mark.parametrize("keyed", [False, True])
def test_every_route_without_a_body_refuses_one(client, world, user, keyed):
    wrong = {}
    for route in sorted(routes_without_body()):
        method, path = route.split(" ")
        path = path.replace("{id}", str(target(world, route, user)))
        headers = (
            {"Idempotency-Key": "k"} if keyed and path.startswith(("draft-orders", "erp-exports")) else {}
        )
        send = getattr(client, method.lower())
        said = refused(send(f"{API}{path}", {"aproved": True}, format="json", headers=headers))
        lists = refused(send(f"{API}{path}", [1], format="json", headers=headers))
        if (said, lists) != ({"aproved"}, {"body"}):
            wrong[route] = said, lists
    assert wrong == {}


def test_an_empty_object_stands_for_no_body(client, world, user):
    draft = world.draft(DraftStatus.READY)

    assert client.post(f"{API}draft-orders/{draft.pk}/approve", {}, format="json").status_code == 200


@pytest.mark.parametrize(
    ("route", "sent_body"),
    [
        ("POST auth/login", {"email": "a@b.example", "password": "x", "expires": 3}),
        ("POST connectors", {"config": {}, "name": "x"}),
        ("POST connectors/dropzone-json-v1/test", {"config": {}, "mode": "x"}),
    ],
)
def test_a_field_that_no_request_knows_is_refused(client, route, sent_body):
    answer = client.post(f"{API}{route.split(' ')[1]}", sent_body, format="json")

    (unknown,) = set(sent_body) & {"expires", "name", "mode"}
    assert answer.json()["error"]["details"][unknown][0]["message"] == "There is no such field."
