"""Writes are throttled per person; every process counts on the same rows."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from erp_connectors.api.accounts.throttles import PublicThrottle
from erp_connectors.api.description import views
from orderflow.accounts.models import ThrottleCount, Token
from orderflow.tenancy import scope
from orderflow.tenancy.roles import Role
from tests import factories

NOON = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def client(user):
    return APIClient(HTTP_AUTHORIZATION=f"Token {Token.objects.create(user)[1]}")


def test_a_count_starts_anew_with_each_span(db):
    waits = [ThrottleCount.wait("k", limit=2, per=MINUTE, now=NOON) for _ in range(4)]

    assert waits == [None, None, timedelta(seconds=30), timedelta(seconds=30)]
    assert ThrottleCount.wait("other", limit=2, per=MINUTE, now=NOON) is None
    assert ThrottleCount.wait("k", limit=2, per=MINUTE, now=NOON + timedelta(seconds=30)) is None


def test_what_is_over_is_not_kept(db):
    for minute in range(5):
        ThrottleCount.wait("k", limit=2, per=MINUTE, now=NOON + minute * MINUTE)

    assert ThrottleCount.objects.count() <= 2


@pytest.mark.django_db(transaction=True)
def test_processes_that_count_at_once_let_exactly_so_many_through():
    @scope.everything()
    def ask(_):
        try:
            return ThrottleCount.wait("k", limit=10, per=MINUTE, now=NOON)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(ask, range(40)))

    assert waits.count(None) == 10


def test_writes_are_throttled_and_reads_are_not(db, settings):
    settings.WRITES_PER_MINUTE = 2
    org = factories.org()
    ops, colleague = client(factories.user(org, Role.OPS)), client(factories.user(org, Role.OPS))
    path = f"/api/v1/draft-orders/{factories.draft(org).pk}/approve"

    answers = [ops.post(path) for _ in range(5)]

    assert answers[0].status_code == 409
    assert answers[-1].json()["error"]["code"] == "RATE_LIMITED"
    assert 0 < int(answers[-1]["Retry-After"]) <= 60
    assert ops.get("/api/v1/draft-orders").status_code == 200
    assert colleague.post(path).status_code == 409


@pytest.mark.parametrize("path", ["schema", "docs", "schemas/orderflow_ack_v1.schema.json", ""])
def test_what_anybody_may_read_is_throttled_by_address(db, monkeypatch, path):
    monkeypatch.setattr(PublicThrottle, "rate", "2/min")
    PublicThrottle.cache.clear()
    stranger, other = APIClient(REMOTE_ADDR="203.0.113.7"), APIClient(REMOTE_ADDR="203.0.113.8")
    member = client(factories.user(factories.org()))

    assert [stranger.get(f"/api/v1/{path}").status_code for _ in range(3)] == [200, 200, 429]
    assert 0 < int(stranger.get(f"/api/v1/{path}")["Retry-After"]) <= 60
    assert other.get(f"/api/v1/{path}").status_code == 200
    assert {member.get(f"/api/v1/{path}").status_code for _ in range(5)} == {200}
    PublicThrottle.cache.clear()


def test_the_description_is_made_once(db, monkeypatch):
    made = []
    generate = SchemaGenerator.get_schema

    def current_export(*args, **options):
        made.append(1)
        return generate(*args, **options)

    monkeypatch.setattr(views, "_descriptions", {})
    monkeypatch.setattr(SchemaGenerator, "get_schema", current_export)

    answers = {APIClient().get("/api/v1/schema").content for _ in range(3)}

    assert (len(answers), len(made)) == (1, 1)
