"""What a batch costs in statements: about as many as one order does."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from erp_connectors.models import ERPExport
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push_many
from erp_connectors.states import ExportStatus
from tests import factories

MANY = 60
# An INSERT or a CASE of many rows is cut into statements of a size that the database takes.
IN_PARTS = 12


def statements(act: Callable[[], Any]) -> int:
    with CaptureQueriesContext(database) as seen:
        act()
    return len(seen)


def accepted(export: ERPExport, number: int) -> tuple[str, dict[str, str]]:
    return f"ack_{export.filename}", {"status": "ACKED", "erp_order_id": f"SO-{number}"}


def refused(export: ERPExport, number: int) -> tuple[str, dict[str, str]]:
    return f"error_{export.filename}", {"status": "FAILED", "error_code": "X", "message": f"No {number}"}


def answer_all(site, *kinds):
    exports = ERPExport.objects.filter(status=ExportStatus.SENT, org=site.org)
    for n, export in enumerate(exports):
        name, body = kinds[n % len(kinds)](export, n)
        site.answer(name, json.dumps(body).encode())


@pytest.fixture
def costs(make_site):
    """Statements of push, delivery and poll, for one order and for many."""

    def measure(how_many: int, *kinds: Any) -> list[int]:
        site = make_site()
        ids = factories.ids(factories.drafts(site.org, how_many))
        counts = [
            statements(lambda: push_many(ids, actor=None)),
            statements(lambda: deliver(site.connection.pk)),
        ]
        answer_all(site, *kinds)
        counts.append(statements(lambda: poll(site.connection.pk)))
        answered = ERPExport.objects.filter(org=site.org).exclude(answered_at=None)
        assert answered.count() == how_many
        return counts

    return measure


@pytest.mark.parametrize("kind", [accepted, refused])
def test_many_orders_cost_about_the_statements_of_one(costs, kind):
    one, many = costs(1, kind), costs(MANY, kind)

    assert all(b - a <= IN_PARTS for a, b in zip(one, many, strict=True)), (one, many)


def test_answers_of_both_kinds_cost_no_more_than_each_alone(costs):
    *_, poll_of_one = costs(1, accepted)
    *_, poll_of_many = costs(MANY, accepted, refused)

    assert poll_of_many - poll_of_one <= 2 * IN_PARTS


@pytest.mark.postgres_only
def test_a_batch_is_written_with_a_parameter_for_each_column_not_for_each_value(site):
    written: dict[str, int] = {}

    def look(execute: Any, sql: str, parameters: Any, *rest: Any) -> Any:
        # An UPDATE of many rows by their keys has no FROM.
        if sql.startswith("INSERT") or (sql.startswith("UPDATE") and " FROM " in sql):
            written[sql] = len(parameters or ())
        return execute(sql, parameters, *rest)

    ids = factories.ids(factories.drafts(site.org, MANY))
    with database.execute_wrapper(look):
        push_many(ids, actor=None)
        deliver(site.connection.pk)
        answer_all(site, accepted)
        poll(site.connection.pk)

    for table in ("erpexport", "erpexportevent", "ackfile", "auditlog"):
        assert any(f'_{table}" (' in sql for sql in written), table
    assert {sql: many for sql, many in written.items() if many >= MANY} == {}


def test_a_quiet_connection_costs_five_statements_a_poll(site):
    poll(site.connection.pk)

    assert statements(lambda: poll(site.connection.pk)) <= 5
