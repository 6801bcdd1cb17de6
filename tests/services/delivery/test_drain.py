"""A long queue that was held up: it drains in order, through one login, without a herd."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from erp_connectors import circuit
from erp_connectors.models import ERPConnection, ERPExport, ERPExportEvent
from erp_connectors.services.connections.connection_test import test_connection as probe_connection
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.delivery.report import DeliveryReport
from erp_connectors.services.exports.push import push_many
from erp_connectors.services.upkeep import sweep
from erp_connectors.states import ExportStatus
from orderflow.orders.models import DraftOrder, DraftOrderLine
from orderflow.orders.states import DraftStatus
from orderflow.tenancy import scope
from tests import factories
from tests.servers.asyncssh_server import Behaviour, asyncssh_server

HELD = 1_000
BATCH = 100


@pytest.fixture
def behaviour() -> Behaviour:
    return Behaviour()


@pytest.fixture
def connection(db: None, tmp_path: Path, behaviour: Behaviour) -> Iterator[ERPConnection]:
    (tmp_path / "in").mkdir()
    with asyncssh_server(tmp_path, behaviour=behaviour) as server:
        yield factories.connection(factories.org(), server.config(ack_path=None))


def push_held(connection: ERPConnection, how_many: int) -> list[Any]:
    """Pushed one batch after another, while the ERP is away."""
    person, buyer, now = factories.user(connection.org), factories.customer(connection.org), timezone.now()
    values = {"customer": buyer, "currency": "EUR", "approved_by": person, "approved_at": now}
    drafts = DraftOrder.objects.bulk_create(
        DraftOrder(org=connection.org, status=DraftStatus.APPROVED, **values) for _ in range(how_many)
    )
    DraftOrderLine.objects.bulk_create(
        DraftOrderLine(draft_order=d, line_no=1, internal_sku="INT-1", qty=1, uom="ST", currency="EUR")
        for d in drafts
    )
    for start in range(0, how_many, BATCH):
        push_many(factories.ids(drafts[start : start + BATCH]), actor=None)
    return [draft.pk for draft in drafts]


def open_circuit(connection: ERPConnection, *, for_: timedelta) -> None:
    now = timezone.now()
    ERPConnection.objects.filter(pk=connection.pk).update(
        circuit_opened_at=now,
        circuit_reason={"code": "LOGIN_REFUSED", "params": {}},
        retry_at=now + for_,
        failures_in_row=1,
    )


@pytest.mark.timeout(300)
@pytest.mark.deep
def test_a_thousand_held_orders_drain_in_order_once_a_test_succeeds(connection, behaviour, settings):
    settings.DELIVERY_BATCH_SIZE = BATCH
    push_held(connection, HELD)
    open_circuit(connection, for_=timedelta(minutes=5))

    held = deliver(connection.pk)
    assert (held.sent, behaviour.sessions) == (0, 0)
    assert "refused the login" in held.held
    assert sweep.due_deliveries(timezone.now()) == []

    assert all(step.ok for step in probe_connection(connection.pk, actor=None))
    logins = behaviour.sessions
    with CaptureQueriesContext(database) as statements:
        assert deliver(connection.pk).sent == HELD

    assert behaviour.sessions - logins <= 4, "one login, and its channels"
    assert len(statements) <= HELD // BATCH * 60
    published = ERPExportEvent.objects.filter(what="published").order_by("id")
    created = [event.export.created_at for event in published.select_related("export")]
    assert len(created) == HELD
    assert created == sorted(created)


def test_an_open_circuit_is_not_tried_before_its_time_and_waits_longer_each_time(connection, behaviour):
    push_held(connection, 3)
    folder = connection.config["export_path"]
    behaviour.interfere = refuse_everything
    waits = []
    for _ in range(4):
        ERPConnection.objects.update(retry_at=None)
        ERPExport.objects.filter(status=ExportStatus.PENDING).update(next_attempt_at=None)
        started = timezone.now()
        report = deliver(connection.pk)
        connection = ERPConnection.objects.get(pk=connection.pk)
        assert report.held, folder
        waits.append((connection.retry_at - started).total_seconds())
        logins = behaviour.sessions
        assert deliver(connection.pk).held
        assert behaviour.sessions == logins

    assert waits[3] > waits[0]
    assert not ERPExport.objects.exclude(status=ExportStatus.PENDING).exists()
    assert connection.circuit_reason["code"] == "PERMISSION_DENIED"


def refuse_everything(operation: str, path: str) -> None:
    raise asyncssh.SFTPPermissionDenied("not yours")


def test_waits_grow_are_bounded_and_do_not_fall_together():
    for failures in range(1, 20):
        waits = {circuit.delivery_pause(failures) for _ in range(30)}
        assert len(waits) > 1
        assert max(waits) <= 2 * circuit.delivery_pause(19)
    assert max(circuit.delivery_pause(1) for _ in range(30)) < min(
        circuit.delivery_pause(6) for _ in range(30)
    )


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_many_wake_ups_at_once_are_one_worker_and_one_login(connection, behaviour):
    push_held(connection, 150)
    reports: list[DeliveryReport] = []

    @scope.everything()
    def woken() -> None:
        try:
            reports.append(deliver(connection.pk))
        finally:
            database.close()

    threads = [threading.Thread(target=woken) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(report.sent for report in reports) == 150
    assert behaviour.sessions <= 4
    assert sum(1 for report in reports if report.busy) >= 15
