"""A bulk run is confirmed once, carried out once, and tells of each row what became of it."""

import threading
from datetime import timedelta

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import OrmQ

from erp_connectors import tasks
from erp_connectors.bulk import runs
from erp_connectors.bulk.execute import execute_chunk
from erp_connectors.bulk.models import BulkAction, BulkRun, Outcome
from erp_connectors.bulk.progress import progress_of
from erp_connectors.models import ERPExport
from orderflow.audit.context import RequestContext, current
from orderflow.audit.models import Action, AuditLog
from orderflow.heartbeat.models import Heartbeat
from orderflow.messages import Message
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy import scope
from tests import factories
from tests.refusals import refused

pytestmark = pytest.mark.django_db
MANY = 500


@pytest.fixture
def org(tmp_path):
    made = factories.org()
    factories.connection(made, {"mode": "filesystem", "export_path": str(tmp_path)})
    return made


@pytest.fixture
def ops(org):
    return factories.user(org)


def outcomes(run):
    return list(run.rows.values_list("outcome", flat=True))


def test_nothing_happens_before_it_is_confirmed(org, ops):
    run = runs.make(BulkAction.PUSH, factories.ids(factories.drafts(org, 3)), actor=ops)

    assert runs.execute(run.pk) == 0
    assert not ERPExport.objects.exists()
    assert runs.due(timezone.now() + timedelta(days=1)) == []


def test_a_few_are_done_at_once_and_a_second_yes_changes_nothing(org, ops):
    run = runs.make(BulkAction.PUSH, factories.ids(factories.drafts(org, 3)), actor=ops)

    assert (runs.confirm(run), runs.confirm(run)) == (True, False)

    run.refresh_from_db()
    assert run.finished_at is not None
    assert outcomes(run) == [Outcome.DONE] * 3
    assert ERPExport.objects.count() == 3


def test_many_are_pushed_by_a_worker_in_chunks_of_constant_cost(org, ops, monkeypatch):
    drafts = factories.drafts(org, MANY)
    run = runs.make(BulkAction.PUSH, factories.ids(drafts), actor=ops)
    OrmQ.objects.all().delete()
    with CaptureQueriesContext(database) as asked:
        runs.confirm(run)

    assert ERPExport.objects.count() == 0
    with CaptureQueriesContext(database) as captured:
        assert runs.execute(run.pk) == MANY

    assert len(asked) <= 10
    assert len(captured) / (MANY / runs.CHUNK) <= 30
    assert outcomes(run) == [Outcome.DONE] * MANY
    assert ERPExport.objects.values("draft_order").distinct().count() == MANY
    assert AuditLog.objects.filter(action=Action.DRAFT_PUSH_REQUESTED, actor=ops).count() == MANY


def test_one_orders_refusal_leaves_the_others_done(org, ops):
    drafts = factories.drafts(org, 3, status=DraftStatus.READY)
    drafts[1].lines.update(internal_sku="")
    run = runs.make(BulkAction.APPROVE, factories.ids(drafts), actor=ops)

    runs.confirm(run)

    assert outcomes(run) == [Outcome.DONE, Outcome.REFUSED, Outcome.DONE]
    assert run.rows.get(position=1).why.code == "order.not_ready"
    assert DraftOrder.objects.filter(status=DraftStatus.APPROVED, approved_by=ops).count() == 2


def test_stopped_in_the_middle_it_goes_on_where_it_was(org, ops, monkeypatch):
    monkeypatch.setattr(runs, "CHUNK", 4)
    monkeypatch.setattr(runs, "AT_ONCE", 0)
    run = runs.make(BulkAction.PUSH, factories.ids(factories.drafts(org, 10)), actor=ops)
    runs.confirm(run)
    calls = []

    def broken(action, ids, *, actor):
        calls.append(ids)
        results = execute_chunk(action, ids, actor=actor)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return results

    monkeypatch.setattr(runs, "execute_chunk", broken)
    with pytest.raises(KeyboardInterrupt):
        runs.execute(run.pk)
    halfway = progress_of(run)
    runs.execute(run.pk)

    assert (halfway.handled, halfway.open) == (4, 6)
    assert outcomes(run) == [Outcome.DONE] * 10
    assert ERPExport.objects.count() == 10


def test_the_sweep_finds_one_that_nobody_works_on(org, ops, monkeypatch):
    monkeypatch.setattr(runs, "AT_ONCE", 0)
    run = runs.make(BulkAction.PUSH, factories.ids(factories.drafts(org, 2)), actor=ops)
    runs.confirm(run)

    assert runs.due(timezone.now()) == []
    assert runs.due(timezone.now() + 2 * runs.STUCK_AFTER) == [run.pk]
    assert tasks.execute_run(str(run.pk)) == "2 rows done"
    assert runs.due(timezone.now() + 2 * runs.STUCK_AFTER) == []


def test_another_orgs_orders_are_not_taken_in(org, ops):
    mine, foreign = factories.draft(org), factories.draft(factories.org())

    run = runs.make(BulkAction.PUSH, [foreign.pk, mine.pk, mine.pk], actor=ops)

    assert list(run.rows.values_list("draft_order", flat=True)) == [mine.pk]


def test_more_than_one_run_takes_is_refused_whole(org, ops, monkeypatch):
    monkeypatch.setattr(runs, "MAX_ROWS", 2)

    with refused(runs.TooMany, "bulk.too_many_orders", number=3, most=2):
        runs.make(BulkAction.PUSH, factories.ids(factories.drafts(org, 3)), actor=ops)

    assert not BulkRun.objects.exists()


def test_who_was_switched_off_meanwhile_pushes_nothing(org, ops, monkeypatch):
    monkeypatch.setattr(runs, "AT_ONCE", 0)
    run = runs.make(BulkAction.PUSH, factories.ids(factories.drafts(org, 2)), actor=ops)
    runs.confirm(run)
    ops.is_active = False
    ops.save()

    runs.execute(run.pk)

    assert set(run.rows.values_list("outcome", "why")) == {
        (Outcome.REFUSED, Message("bulk.user_deactivated", user=ops.email))
    }
    assert not ERPExport.objects.exists()


def test_the_audit_log_names_the_request_that_said_yes(org, ops, monkeypatch):
    monkeypatch.setattr(runs, "AT_ONCE", 0)
    run = runs.make(BulkAction.PUSH, factories.ids(factories.drafts(org, 1)), actor=ops)
    token = current.set(RequestContext("request-1", "192.0.2.7", "A browser"))
    runs.confirm(run)
    current.reset(token)

    runs.execute(run.pk)

    entry = AuditLog.objects.get(action=Action.DRAFT_PUSH_REQUESTED)
    assert (entry.request_id, entry.ip, entry.user_agent) == ("request-1", "192.0.2.7", "A browser")


def test_where_no_worker_lives_the_page_can_say_so(org, ops, monkeypatch):
    monkeypatch.setattr(runs, "AT_ONCE", 0)
    run = runs.make(BulkAction.PUSH, factories.ids(factories.drafts(org, 1)), actor=ops)
    runs.confirm(run)
    waited = timezone.now() - timedelta(minutes=1)
    BulkRun.objects.update(worked_at=waited)
    run.refresh_from_db()

    assert "No worker is running" in progress_of(run).problem
    Heartbeat.beat("any")
    assert progress_of(run).problem == ""


def test_old_runs_are_forgotten_with_their_rows(org, ops):
    old, new = (runs.make(BulkAction.PUSH, [factories.draft(org).pk], actor=ops) for _ in range(2))
    BulkRun.objects.filter(pk=old.pk).update(created_at=timezone.now() - runs.KEPT - timedelta(hours=1))

    runs.forget_old(timezone.now())

    assert list(BulkRun.objects.all()) == [new]


@pytest.mark.django_db(transaction=True)
def test_several_workers_at_once_do_each_order_once(org, ops, monkeypatch):
    monkeypatch.setattr(runs, "CHUNK", 5)
    monkeypatch.setattr(runs, "AT_ONCE", 0)
    run = runs.make(BulkAction.PUSH, factories.ids(factories.drafts(org, 60)), actor=ops)
    runs.confirm(run)
    settled, together = [], threading.Barrier(3)

    @scope.everything()
    def work():
        try:
            together.wait()
            settled.append(runs.execute(run.pk))
        finally:
            database.close()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert sum(settled) == 60
    assert ERPExport.objects.count() == 60
    assert outcomes(run) == [Outcome.DONE] * 60
