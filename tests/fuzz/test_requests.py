"""Whatever is sent to whatever route as whoever: an answer, never a 500; and what is refused has changed nothing."""

import json
from urllib.parse import quote, urlencode
from uuid import UUID

import pytest
from django.contrib import admin
from django.db import transaction
from django.test import Client
from django.urls import reverse
from hypothesis import strategies as st
from rest_framework.test import APIClient

from erp_connectors.models import ERPConnection, ERPExport
from orderflow.accounts.models import Token
from orderflow.audit.models import AuditLog
from orderflow.orders.models import Customer, DraftOrder, DraftOrderLine
from tests.api.actors import ACTORS, make_unlimited_world, of_actor, sent
from tests.api.test_roles import TABLE
from tests.fuzz.exploring import explore

pytestmark = pytest.mark.deep

KEPT = (DraftOrder, DraftOrderLine, Customer, ERPExport, ERPConnection, AuditLog)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
NAMES = st.sampled_from(
    ["config", "mode", "host", "port", "export_path", "ack_path", "password", "status", "connector_type",
     "test_on_save", "email", "notes", "lines", "qty", "unit_price", "customer", "order_date", "currency", "export_ids",
     "dry_run", "note", "erp_order_id", "reason", "line_no", "uom", "external_order_number", "internal_sku"]
)  # fmt: skip
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | TEXT
    | st.uuids().map(str)
    | st.dates().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | TEXT, inner, max_size=4),
    max_leaves=8,
)
ODD = st.sampled_from([b"", b"{", b"[" * 50_000, b'"\\ud800"', b'{"config": NaN}', b"9" * 5000, b"\xff\xfe{"])
BODIES = VALUES.map(lambda value: json.dumps(value).encode()) | ODD | st.binary(max_size=40)
TYPES = st.sampled_from(
    ["application/json"] * 6 + ["text/plain", "multipart/form-data; boundary=x", "", 'a/b; c="', "*/*"]
)
# What a client can put on the wire: WSGI hands it over as Latin-1.
HEADER = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=60)
# Seldom odd: what wants another type is refused before anything is read.
ACCEPTED = st.sampled_from(["application/json"] * 8 + ["text/html", "\xe9", ""])
SENT_ALONG = st.fixed_dictionaries(
    {}, optional={"Idempotency-Key": HEADER, "X-Request-ID": HEADER, "Accept": ACCEPTED, "Accept-Language": HEADER,
                  "Traceparent": HEADER, "If-Match": HEADER}
)  # fmt: skip
PARAMETERS = st.dictionaries(
    st.sampled_from(["limit", "cursor", "search", "status", "ordering", "created_after", "created_before", "customer",
                     "overdue", "draft_order_id", "connection", "action", "page", "format"]) | TEXT,
    TEXT | st.integers().map(str) | st.sampled_from(["\0", "0001-01-01T00:00:00+14:00", "9" * 400, "-1", "cD0lMDA="]),
    max_size=4,
)  # fmt: skip


@pytest.fixture
def world(db, tmp_path, settings):
    return make_unlimited_world(tmp_path, settings)


def everything():
    return [list(model.objects.order_by("pk").values_list()) for model in KEPT]


def require_answer(answer, *, route, before):
    assert answer.status_code < 500, (route, answer.content[:300])
    if answer.status_code >= 400:
        assert answer.json()["error"]["code"], route
        assert everything() == before, route


@pytest.mark.parametrize("actor", ACTORS)
def test_anything_sent_to_any_route_is_answered(world, actor):
    user, export = of_actor(world, actor), sent(world)
    program = APIClient(raise_request_exception=False)
    if user:
        program.credentials(HTTP_AUTHORIZATION=f"Token {Token.objects.create(user)[1]}")
    ids = {"erp-exports": export.pk, "connectors": world.connection.pk, "draft-orders": world.draft().pk}
    before = everything()

    def check(route, body, kind, headers, parameters, real):
        method, path = route.split(" ")
        known = next((str(pk) for name, pk in ids.items() if path.startswith(name)), "x")
        path = path.replace("{id}", known if real else quote(str(body[:20]), safe="")).replace("{name}", "x")
        with transaction.atomic():
            answer = program.generic(
                method,
                f"/api/v1/{path}?{urlencode(parameters)}",
                body if method in ("POST", "PATCH") else b"",  # type: ignore[arg-type]  # bytes are taken, too
                content_type=kind,
                headers=headers,
            )
            require_answer(answer, route=route, before=before)
            transaction.set_rollback(True)

    routes = st.sampled_from([route for route in TABLE if route not in ("GET docs", "GET schema")])
    explore(check, routes, BODIES, TYPES, SENT_ALONG, PARAMETERS, st.booleans())


def test_any_credentials_are_refused_in_words(world):
    program = APIClient(raise_request_exception=False)

    def check(text, scheme):
        answer = program.get("/api/v1/me", headers={"Authorization": f"{scheme}{text}"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "AUTH_REQUIRED")

    explore(check, HEADER, st.sampled_from(["", "Token ", "token  ", "Bearer ", "Basic ", "Token"]))


LISTED = st.sampled_from(
    ["q", "p", "o", "e", "all", "_popup", "_to_field", "_changelist_filters", "id", "org", "org__id__exact", "status",
     "status__exact", "status__in", "created_at__gte", "created_at__year", "connection__id__exact", "pk__in", "config",
     "org__name__regex", "action"]
)  # fmt: skip
ODD_VALUES = st.sampled_from(
    ["\0", "9" * 400, "2026-99-99", "0001-01-01", "99999", "(", "-1", "a.b.c", "1,2", str(UUID(int=0))]
)


@pytest.mark.parametrize("actor", ["ADMIN", "staff"])
def test_any_parameters_of_any_list_of_the_admin_are_answered(world, actor):
    sent(world)
    browser = Client(raise_request_exception=False)
    browser.force_login(of_actor(world, actor))
    lists = [
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for model in admin.site._registry
    ]

    def check(address, parameters):
        with transaction.atomic():
            answer = browser.get(f"{address}?{urlencode(parameters)}")
            assert answer.status_code < 500, (address, parameters)

    explore(check, st.sampled_from(lists), st.dictionaries(LISTED | TEXT, TEXT | ODD_VALUES, max_size=3))


@pytest.mark.parametrize("year", ["0", "-1", "99999", "9" * 400])
def test_a_year_that_no_calendar_has_is_no_crash(world, year):
    browser = Client()
    browser.force_login(of_actor(world, "ADMIN"))

    for name in ("orders_draftorder", "erp_connectors_erpexport", "audit_auditlog"):
        address = reverse(f"admin:{name}_changelist")
        assert browser.get(f"{address}?created_at__gte={year}").headers["Location"] == f"{address}?e=1"
