"""What a programmer meets on the first day: the root, the kind of token, a file that is not there yet, an outage."""

import sqlite3

import psycopg
import pytest
from django.db import InterfaceError, OperationalError
from django.test import Client
from rest_framework.test import APIClient

from erp_connectors.models import ERPConnection, ERPExport, ERPExportEvent
from erp_connectors.services.exports.push import push
from erp_connectors.transports.filesystem import FilesystemTransport
from orderflow import outage
from orderflow.accounts.models import Token
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.roles import Role
from tests import factories
from tests.api.actors import make_world, sent
from tests.api.test_idempotency import client_of

API = "/api/v1/"


@pytest.fixture
def world(db, tmp_path, settings):
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    return make_world(tmp_path)


def test_the_root_leads_on_and_every_link_works(world):
    links, same = (APIClient().get(root).json()["links"] for root in ("/api/v1", "/api/v1/"))
    assert links == same
    admin = client_of(world.ours, Role.ADMIN)

    answers = {name: admin.get(link).status_code for name, link in links.items()}
    assert answers.pop("login") == 405  # takes a POST
    assert set(answers.values()) == {200}


@pytest.mark.parametrize("scheme", ["Token", "Bearer", "bearer"])
def test_a_token_is_taken_in_both_schemes(world, scheme):
    token = Token.objects.create(factories.user(world.ours))[1]

    def get(header):
        return APIClient(HTTP_AUTHORIZATION=header).get(f"{API}me").status_code

    assert get(f"{scheme} {token}") == 200
    assert {get(f"{scheme} {token}x"), get(scheme), get(f"{scheme} {token} x"), get(f"Basic {token}")} == {
        401
    }


def test_the_payload_of_a_pending_export_is_not_rendered_yet(world):
    client = client_of(world.ours)
    export = push(world.draft().pk, actor=factories.user(world.ours)).export

    answer = client.get(f"{API}erp-exports/{export.pk}/payload")
    ERPExport.objects.update(status="FAILED", failed_as="NOT_SENT")
    failed = client.get(f"{API}erp-exports/{export.pk}/payload")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")
    assert "not rendered yet" in answer.json()["error"]["message"]
    assert "never rendered" in failed.json()["error"]["message"]


def test_a_refusal_names_the_attempt_that_its_event_names(world):
    export = sent(world)
    client_of(world.ours).post(f"{API}erp-exports/{export.pk}/mark-refused", {"note": "no"}, format="json")

    export.refresh_from_db()
    event = ERPExportEvent.objects.filter(export=export).latest("pk")
    assert (export.error_json["attempt"], event.attempt) == (1, 1)


@pytest.mark.parametrize("method", ["open_steps", "_stage", "_publish", "__init__"])
def test_what_a_transport_should_not_raise_is_a_failed_step(world, monkeypatch, method):
    def fail(*args, **kwargs):
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(FilesystemTransport, method, fail)
    admin = client_of(world.ours, Role.ADMIN)

    for url, body in (
        (f"{API}connectors/{world.connection.pk}/test", {}),
        (f"{API}connectors/dropzone-json-v1/test", {"config": world.config}),
    ):
        answer = admin.post(url, body, format="json")
        assert (answer.status_code, answer.json()["success"]) == (200, False), answer.content
        last = answer.json()["steps"][-1]
        assert (last["ok"], last["error"]["code"]) == (False, "INTERNAL_ERROR")
        assert "secret detail" not in answer.content.decode()
    world.connection.refresh_from_db()
    assert world.connection.last_test_success is False


@pytest.mark.parametrize(
    ("changes", "level"),
    [({}, "EXACTLY_ONCE"), ({"atomic_write": False}, "AT_LEAST_ONCE"), ({"export_path": "/nowhere"}, None)],
)
def test_a_connection_test_says_how_often_a_file_may_appear(world, changes, level):
    body = {"config": {**world.config, **changes}}

    answer = client_of(world.ours, Role.ADMIN).post(
        f"{API}connectors/dropzone-json-v1/test", body, format="json"
    )

    guarantee = answer.json()["guarantee"] or {"level": None, "reason": "unknown"}
    assert guarantee["level"] == level
    assert guarantee["reason"]


def test_a_failed_step_has_the_fault_as_data(world, tmp_path):
    folder = str(tmp_path / "absent")
    body = {"config": {**world.config, "export_path": folder}}

    answer = client_of(world.ours, Role.ADMIN).post(
        f"{API}connectors/dropzone-json-v1/test", body, format="json"
    )

    failed = answer.json()["steps"][-1]
    expected = ("FOLDER_MISSING", {"path": folder})
    assert (failed["code"], failed["params"]) == expected
    assert (failed["error"]["code"], failed["error"]["params"]) == expected


def refused_connection():
    error = OperationalError("connection refused")
    error.__cause__ = psycopg.OperationalError("connection refused")
    return error


def busy():
    error = OperationalError("database is locked")
    error.__cause__ = sqlite3.OperationalError("database is locked")
    error.__cause__.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error


def no_such_table():
    error = OperationalError("no such table")
    error.__cause__ = sqlite3.OperationalError("no such table")
    error.__cause__.sqlite_errorcode = sqlite3.SQLITE_ERROR
    return error


def shutting_down():
    error = OperationalError("terminating connection")
    error.__cause__ = psycopg.errors.AdminShutdown("terminating connection")
    return error


def cancelled():
    error = OperationalError("canceling statement due to statement timeout")
    error.__cause__ = psycopg.errors.QueryCanceled("canceling statement due to statement timeout")
    return error


@pytest.mark.parametrize(
    ("error", "away"),
    [(refused_connection(), True), (shutting_down(), True), (busy(), True), (InterfaceError("closed"), True),
     (no_such_table(), False), (cancelled(), False), (ValueError("x"), False), (None, False)],
    ids=str,
)  # fmt: skip
def test_only_a_database_that_is_away_is_an_outage(error, away):
    assert outage.is_outage(error) is away


def test_an_outage_is_a_503_with_the_time_to_wait(world, monkeypatch):
    """Through a real restart: `tests/faults/test_requests_without_database.py`."""

    def fail(*args, **kwargs):
        raise refused_connection()

    client = client_of(world.ours)
    client.raise_request_exception = False
    browser = Client(raise_request_exception=False)
    browser.force_login(factories.user(world.ours))
    draft = factories.draft(world.ours, status=DraftStatus.READY)
    monkeypatch.setattr("erp_connectors.api.orders.views.approve", fail)
    monkeypatch.setattr("django.contrib.sessions.backends.db.SessionStore.load", fail)

    told = client.post(f"{API}draft-orders/{draft.pk}/approve")
    page = browser.get("/admin/", headers={"Accept-Language": "de"})

    assert (told.status_code, told.json()["error"]["code"], told["Retry-After"]) == (503, "UNAVAILABLE", "5")
    assert (page.status_code, page["Retry-After"]) == (503, "5")
    assert "Die Datenbank antwortet nicht" in page.content.decode()


@pytest.mark.parametrize("connector_type", ["DROPZONE_JSON_V1", "DROPZONE_CSV_V1"])
def test_a_config_of_any_connector_type_is_tested_created_and_changed(world, connector_type):
    admin, own = client_of(world.ours, Role.ADMIN), {}
    if connector_type != world.connection.connector_type:
        own = {"columns": "Article = line.internal_sku", "delimiter": "tab"}
    body = {"connector_type": connector_type, "config": {**world.config, **own}}

    tested = admin.post(f"{API}connectors/test-config", body, format="json")
    ERPConnection.objects.update(status="DISABLED")
    created = admin.post(f"{API}connectors", {**body, "test_on_save": True}, format="json")
    row = f"{API}connectors/{created.json()['id']}"
    changed = admin.patch(row, {"config": {**body["config"], "ack_timeout": 600}}, format="json")

    assert (tested.status_code, tested.json()["success"]) == (200, True), tested.content
    assert (created.status_code, created.json()["test"]["success"]) == (201, True), created.content
    assert (changed.status_code, changed.json()["connector_type"]) == (200, connector_type), changed.content
    assert changed.json()["config"] == {**body["config"], "ack_timeout": 600}


def test_a_wrong_column_is_named_in_the_details(world):
    config = {**world.config, "columns": "a = line.qty\nb = line.price"}
    body = {"connector_type": "DROPZONE_CSV_V1", "config": config}

    answer = client_of(world.ours, Role.ADMIN).post(f"{API}connectors/test-config", body, format="json")

    assert answer.status_code == 422
    (problem,) = answer.json()["error"]["details"]["columns"]
    assert problem["code"] == "csv.unknown_field"
