"""The audit log: complete, attributed, and never changed."""

import re
from uuid import uuid4

import pytest
import structlog
from django.contrib.auth import authenticate
from django.db import transaction
from django.db.migrations import operations
from django.db.migrations.state import ModelState
from django.db.migrations.writer import OperationWriter
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse

from orderflow.audit.context import RequestContextMiddleware, client_address, current
from orderflow.audit.models import Action, AppendOnly, AuditLog
from orderflow.audit.services import Entry, record, record_many
from tests import factories


def entry(org, **fields):
    values = {
        "action": Action.DRAFT_APPROVED,
        "org_id": org.pk,
        "entity_type": "DraftOrder",
        "entity_id": uuid4(),
    }
    return Entry(**{**values, **fields})


@pytest.fixture
def org(db):
    return factories.org()


@pytest.fixture
def row(org):
    record(entry(org))
    return AuditLog.objects.get()


def test_an_unknown_action_is_refused(org):
    with pytest.raises(ValueError, match="MADE_UP"), transaction.atomic():
        record(entry(org, action="MADE_UP"))
    with pytest.raises(ValueError, match="MADE_UP"), transaction.atomic():
        AuditLog.objects.create(org=org, action="MADE_UP")

    assert not AuditLog.objects.exists()


def test_migrations_hold_no_action_so_a_new_one_needs_no_migration():
    state = ModelState.from_model(AuditLog)
    created = operations.CreateModel(state.name, list(state.fields.items()), state.options)
    written = OperationWriter(created).serialize()[0]

    assert "created_at" in written
    assert [action for action in Action.values if action in written] == []


CHANGES = {
    "save": lambda row: row.save(),
    "save of one field": lambda row: row.save(update_fields=["action"]),
    "delete": lambda row: row.delete(),
    "bulk delete": lambda row: AuditLog.objects.all().delete(),
    "bulk update": lambda row: AuditLog.objects.filter(pk=row.pk).update(action="X"),
    "update of objects": lambda row: AuditLog.objects.bulk_update([row], ["action"]),
    "update_or_create": lambda row: AuditLog.objects.update_or_create(pk=row.pk, defaults={"action": "X"}),
    "through the org": lambda row: row.org.audit_log.all().update(action="X"),
    "clearing the org": lambda row: row.org.audit_log.clear(),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.every_database
def test_an_entry_is_never_changed(row, change):
    row.action = Action.DRAFT_PUSHED

    with pytest.raises(AppendOnly), transaction.atomic():
        CHANGES[change](row)

    assert AuditLog.objects.get().action == Action.DRAFT_APPROVED


def test_many_entries_are_one_insert(org, django_assert_num_queries):
    with django_assert_num_queries(1):
        record_many(entry(org) for _ in range(50))

    assert AuditLog.objects.for_org(org).count() == 50


def test_nothing_to_record_costs_nothing(db, django_assert_num_queries):
    with django_assert_num_queries(0):
        record_many([])


def test_an_entry_says_where_the_request_came_from(org):
    def view(request):
        record(entry(org))
        assert structlog.contextvars.get_contextvars()["request_id"] == "abc-1"
        return HttpResponse()

    request = RequestFactory().get(
        "/", headers={"X-Request-ID": "abc-1", "User-Agent": "Mozilla\x00" + "x" * 999}
    )
    response = RequestContextMiddleware(view)(request)

    row = AuditLog.objects.get()
    assert response["X-Request-ID"] == row.request_id == "abc-1"
    assert (row.ip, row.user_agent[:8], len(row.user_agent)) == ("127.0.0.1", "Mozillax", 300)
    assert current.get().request_id == ""
    assert "request_id" not in structlog.contextvars.get_contextvars()


@pytest.mark.parametrize("offered", ["", "a b", "x" * 65, "a\nb", "<script>", "ü"])
def test_an_insane_request_id_is_replaced(offered):
    request = RequestFactory().get("/", headers={"X-Request-ID": offered})

    response = RequestContextMiddleware(lambda request: HttpResponse())(request)

    assert re.fullmatch(r"[0-9a-f]{32}", response["X-Request-ID"])


@pytest.mark.parametrize(
    ("proxies", "forwarded", "seen"),
    [
        (0, "", "10.0.0.9"),
        (0, "6.6.6.6", "10.0.0.9"),
        (1, "6.6.6.6, 203.0.113.7", "203.0.113.7"),
        (2, "6.6.6.6, 203.0.113.7, 10.0.0.1", "203.0.113.7"),
        (2, "203.0.113.7", "203.0.113.7"),
        (1, "", "10.0.0.9"),
        (1, "2001:db8::1", "2001:db8::1"),
        (1, "nonsense", None),
    ],
)
def test_the_clients_address_is_what_our_own_proxy_saw(settings, proxies, forwarded, seen):
    settings.TRUSTED_PROXIES = proxies
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}

    assert client_address(RequestFactory(REMOTE_ADDR="10.0.0.9").get("/", headers=headers)) == seen


def test_logins_good_and_bad_are_recorded_and_no_password_is(org):
    user = factories.user(org)
    client, page = Client(), reverse("admin:login")

    client.post(page, {"username": user.email, "password": "geheim-und-falsch"})
    client.post(page, {"username": "nobody@example.com", "password": "geheim-und-falsch"})
    client.post(page, {"username": user.email, "password": factories.PASSWORD})

    rows = list(AuditLog.objects.order_by("created_at"))
    assert [(row.action, row.org, row.actor) for row in rows] == [
        (Action.LOGIN_FAILED, org, None),
        (Action.LOGIN_FAILED, None, None),
        (Action.LOGIN_SUCCEEDED, org, user),
    ]
    assert rows[1].after == {"email": "nobody@example.com"}
    assert "geheim" not in repr([vars(row) for row in rows])


def test_who_was_switched_off_does_not_get_in(org):
    user = factories.user(org, is_active=False)

    assert authenticate(username=user.email, password=factories.PASSWORD) is None
    assert AuditLog.objects.get().action == Action.LOGIN_FAILED
