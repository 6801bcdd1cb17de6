import os
import time
from uuid import uuid4

import pytest
from django.db import DatabaseError
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from erp_connectors import tasks
from erp_connectors.services.acks import poll
from erp_connectors.services.delivery import deliver as delivery
from erp_connectors.services.exports.push import push
from orderflow import jobs
from orderflow.audit.context import RequestContext, current
from orderflow.heartbeat import tasks as heartbeat
from orderflow.heartbeat.models import Heartbeat
from orderflow.orders.states import DraftStatus
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)
CONFIG = {"mode": "filesystem", "export_path": "/nowhere/in", "ack_path": "/nowhere/out"}


@pytest.fixture(autouse=True)
def _empty_queue() -> None:
    OrmQ.objects.all().delete()


def queued() -> list[tuple[str, tuple[str, ...]]]:
    return [(row.task["func"], row.task["args"]) for row in OrmQ.objects.order_by("pk")]


def test_the_sweep_wakes_what_a_lost_wake_up_left_behind() -> None:
    org = factories.org()
    connection = factories.connection(org, CONFIG)
    push(factories.draft(org, status=DraftStatus.APPROVED).pk, actor=None)
    OrmQ.objects.all().delete()
    assert tasks.sweep().startswith("1 deliveries woken, 0 copies archived late, 0 exports overdue")
    assert queued() == [(jobs.Task.DELIVER, (str(connection.pk),))]


def test_each_connection_is_polled_by_a_task_of_its_own_when_its_time_has_come() -> None:
    ids = {str(factories.connection(factories.org(), CONFIG).pk) for _ in range(3)}
    assert tasks.poll_due() == "3 polls woken"
    assert {args for _, args in queued()} == {(pk,) for pk in ids}
    for pk in ids:
        tasks.poll_if_due(pk)
    assert tasks.poll_due() == "0 polls woken"


def test_nothing_escapes_a_task_and_its_trace_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(connection_id: object, **options: object) -> None:
        raise DatabaseError("gone")

    monkeypatch.setattr(poll, "poll", broken)
    assert tasks.poll(str(uuid4())) == "failed: DatabaseError"
    assert "Traceback" in caplog.text


def test_a_connection_that_is_gone_is_no_reason_to_fail() -> None:
    assert "another worker" in tasks.deliver(str(uuid4()))


def test_a_long_task_shows_life_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, heartbeat.CLUSTER, "here")
    monkeypatch.setattr(heartbeat, "EVERY_SECONDS", 0.05)
    monkeypatch.setattr(heartbeat, "_last_beat", float("-inf"))
    with heartbeat.alive():
        first = Heartbeat.objects.get(cluster="here").beat_at
        until = time.monotonic() + 60
        while Heartbeat.objects.get(cluster="here").beat_at == first:
            assert time.monotonic() < until, "no second heartbeat"
            time.sleep(0.02)


def test_outside_of_a_supervised_worker_nothing_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(heartbeat.CLUSTER, raising=False)
    with heartbeat.alive():
        heartbeat.beat()
    assert not Heartbeat.objects.exists()


def test_a_beat_for_another_cluster_is_handed_on_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, heartbeat.CLUSTER, "here")
    heartbeat.beat("there", str(heartbeat.MAX_HOPS - 1))
    assert queued() == [(jobs.Task.BEAT, ("there", str(heartbeat.MAX_HOPS)))]
    heartbeat.beat("there", str(heartbeat.MAX_HOPS))
    heartbeat.beat("here")
    assert len(queued()) == 1


def test_the_request_that_woke_a_delivery_is_in_its_log_lines(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(connection_id: object) -> None:
        raise DatabaseError("gone")

    monkeypatch.setattr(delivery, "deliver", broken)
    token = current.set(RequestContext(request_id="asked-for-by-me"))
    try:
        jobs.enqueue(jobs.Task.DELIVER, str(uuid4()))
    finally:
        current.reset(token)
    call = SignedPackage.loads(OrmQ.objects.latest("pk").payload)

    tasks.deliver(*call["args"], **call["kwargs"])

    assert "asked-for-by-me" in caplog.text
