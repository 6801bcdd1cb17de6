"""Who may call what: every route of the API, for every role, for platform staff, another org's admin and nobody."""

from uuid import uuid4

import pytest
from django.db import transaction
from drf_spectacular.generators import EndpointEnumerator
from rest_framework.test import APIClient

from orderflow.accounts.models import Token
from tests import factories
from tests.api.actors import ACTORS, make_world, of_actor, sent, target

EVERYBODY = "200 200 200 200 200 200 200"
READ = "200 200 200 200 200 200 401"
READ_ONE = "200 200 200 200 200 404 401"
ACT = "200 403 200 403 200 404 401"
START = "202 403 202 403 202 404 401"
SET_UP = "200 200 403 403 200 200 401"
SET_UP_ONE = "200 200 403 403 200 404 401"
# In the order of ACTORS. The stranger is another org's ADMIN.
TABLE = {
    "POST auth/login": EVERYBODY,
    "POST auth/logout": "204 204 204 204 204 204 401",
    "GET auth/tokens": READ,
    "DELETE auth/tokens/{id}": "204 204 204 204 204 204 401",
    "GET ": EVERYBODY,
    "GET schema": EVERYBODY,
    "GET docs": EVERYBODY,
    "GET schemas/{name}": EVERYBODY,
    "GET draft-orders": READ,
    "GET draft-orders/{id}": READ_ONE,
    # Platform staff name the org by its customer, and this one names none.
    "POST draft-orders": "201 403 201 403 422 201 401",
    "PATCH draft-orders/{id}": ACT,
    "DELETE draft-orders/{id}": "204 403 204 403 204 404 401",
    "POST draft-orders/{id}/ready": ACT,
    "POST draft-orders/{id}/reject": ACT,
    "POST draft-orders/{id}/approve": ACT,
    "POST draft-orders/{id}/push": START,
    "POST draft-orders/{id}/retry-push": START,
    "GET erp-exports": READ,
    "GET erp-exports/{id}": READ_ONE,
    "GET erp-exports/{id}/payload": READ_ONE,
    "GET erp-exports/{id}/events": READ_ONE,
    "POST erp-exports/bulk-retry": "200 403 200 403 200 200 401",
    "POST erp-exports/{id}/mark-accepted": ACT,
    "POST erp-exports/{id}/mark-refused": ACT,
    "GET ack-files": READ,
    "GET ack-files/{id}": READ_ONE,
    "GET me": READ,
    "GET customers": READ,
    "GET audit-log": "200 200 403 403 200 200 401",
    "GET connectors": SET_UP,
    # The org has an active one; the stranger's has none yet; platform staff belong to no org.
    "POST connectors": "409 409 403 403 422 201 401",
    "GET connectors/{id}": SET_UP_ONE,
    "PATCH connectors/{id}": SET_UP_ONE,
    "POST connectors/{id}/test": SET_UP_ONE,
    # The connection is active.
    "POST connectors/{id}/move-waiting-exports": SET_UP_ONE.replace("200", "409"),
    "POST connectors/dropzone-json-v1/test": SET_UP,
    "POST connectors/test-config": SET_UP,
}
CODES = {401: "AUTH_REQUIRED", 403: "FORBIDDEN", 404: "NOT_FOUND", 409: "CONFLICT", 422: "VALIDATION_ERROR"}


@pytest.fixture
def world(db, tmp_path, settings):
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    return make_world(tmp_path)


WITHOUT_BODY = (
    "logout",
    "/ready",
    "/reject",
    "/approve",
    "/push",
    "/retry-push",
    "{id}/test",
    "/move-waiting-exports",
)


def body(world, route, user):
    if route.endswith(WITHOUT_BODY):
        return None
    if route.endswith("auth/login"):
        return {"email": (user or factories.user(world.ours)).email, "password": factories.PASSWORD}
    if "mark-" in route:
        told = {"note": "Frau Müller rief an"}
        return {**told, "erp_order_id": "SO-1"} if "accepted" in route else told
    if route.endswith("bulk-retry"):
        return {"export_ids": [str(uuid4())], "dry_run": True}
    if "draft-orders" in route:
        return {"notes": "Urgent delivery"}
    theirs = user is not None and user.org_id not in (None, world.ours.pk)
    # A folder belongs to one org.
    folder = f"{world.config['export_path']}-theirs" if theirs else world.config["export_path"]
    return {"config": {**world.config, "export_path": folder}}


def call(world, route, actor):
    user = of_actor(world, actor)
    client = APIClient()
    if user:
        client.credentials(HTTP_AUTHORIZATION=f"Token {Token.objects.create(user)[1]}")
    method, path = route.split(" ")
    if "{id}" in path:
        path = path.replace("{id}", str(target(world, route, user)))
    path = path.replace("{name}", "orderflow_ack_v1.schema.json")
    sends = {"data": body(world, route, user), "format": "json"} if method in ("POST", "PATCH") else {}
    return getattr(client, method.lower())(f"/api/v1/{path}", **sends)


def routes():
    """Whatever the site's API answers to, from its own table of routes."""
    return {
        f"{method} {path.removeprefix('/api/v1/').replace('{pk}', '{id}')}"
        for path, _, method, _ in EndpointEnumerator().get_api_endpoints()
        if path.startswith("/api/v1/")
    }


def test_no_route_is_missing_from_the_table_and_none_is_in_it_that_is_gone():
    assert routes() == set(TABLE)


@pytest.mark.parametrize("actor", ACTORS)
def test_each_may_do_what_the_table_says(world, actor):
    """Each call meets the same world: what it changed is rolled back."""
    wrong = {}
    for route, row in TABLE.items():
        expected = int(row.split()[ACTORS.index(actor)])
        with transaction.atomic():
            answer = call(world, route, actor)
            transaction.set_rollback(True)
        if answer.status_code != expected:
            wrong[route] = f"{answer.status_code} instead of {expected}: {answer.content[:300]}"
        elif expected >= 400:
            error = answer.json()["error"]
            if (error["code"], error["request_id"]) != (CODES[expected], answer["X-Request-ID"]):
                wrong[route] = str(error)
    assert wrong == {}


def test_lists_show_a_stranger_nothing_of_ours(world):
    sent(world)
    lists = [
        row for row in TABLE if row.startswith("GET") and TABLE[row] in (READ, SET_UP) and row != "GET me"
    ]
    shown = {}
    for route in lists:
        answer = call(world, route, "stranger").json()
        rows = (
            answer["results"] if isinstance(answer, dict) else [row for row in answer if not row["current"]]
        )
        if rows:
            shown[route] = rows

    assert lists
    assert shown == {}
