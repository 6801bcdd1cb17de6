"""Once a day, by one worker at a time, in slices, until it is done; and everybody can see that it was."""

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import timedelta
from threading import Barrier, Event

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import OrmQ

from erp_connectors import tasks
from erp_connectors.models import AckFile, ERPExport
from erp_connectors.retention import removing, runs
from erp_connectors.retention.models import RetentionRun, RetentionShare
from erp_connectors.services.acks.poll import poll
from erp_connectors.states import AckFileStatus
from erp_connectors.watch.check_results import Level
from erp_connectors.watch.retention import retention
from orderflow.audit.models import Action, AuditLog
from tests.retention.conftest import DAYS, accepted, age, copies
from tests.services.acks.test_poll import ACKED
from tests.test_metrics import scrape  # noqa: F401  # a fixture

pytestmark = pytest.mark.django_db
REAL = pytest.mark.django_db(transaction=True)


@pytest.fixture
def configured(settings):
    settings.RETENTION_ARCHIVE_DAYS = settings.RETENTION_ACK_DAYS = settings.RETENTION_EVENT_DAYS = DAYS


def together(*actions):
    start = Barrier(len(actions))

    def run(action):
        try:
            start.wait()
            return action()
        finally:
            connection.close()

    # A thread sees whose rows its context says.
    contexts = [copy_context() for _ in actions]
    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(lambda context, action: context.run(run, action), contexts, actions))


def test_by_default_nothing_ever_begins(old):
    exports = old(1)
    tasks.sweep()
    assert runs.due(timezone.now()) == []
    assert copies(exports) == [True]


def test_the_sweep_begins_it_once_a_day(configured, old):
    exports = old(2)
    now = timezone.now().replace(hour=12)  # twenty minutes later it is still the same day
    OrmQ.objects.all().delete()

    (first,) = runs.due(now)
    assert runs.due(now + timedelta(minutes=1)) == []
    assert "6 contents removed" in tasks.prune(str(first))
    assert runs.due(now + timedelta(minutes=20)) == []
    (second,) = runs.due(now + timedelta(days=1))

    assert copies(exports) == [False, False]
    assert (first != second, RetentionRun.objects.count()) == (True, 2)
    assert AuditLog.objects.get(action=Action.CONTENTS_REMOVED).after == {
        "files": 2,
        "answers": 2,
        "events": 2,
    }


def test_a_slice_ends_in_time_and_the_rest_follows(configured, old, monkeypatch):
    exports = old(5)
    monkeypatch.setattr(removing, "BATCH", 2)
    monkeypatch.setattr(runs, "SLICE_SECONDS", 0.0)
    (run,) = runs.due(timezone.now())
    OrmQ.objects.all().delete()
    slices = 0

    while RetentionRun.objects.get().finished_at is None and slices < 30:
        tasks.prune(str(run))
        slices += 1
        assert OrmQ.objects.count() == (0 if RetentionRun.objects.get().finished_at else 1)
        OrmQ.objects.all().delete()

    assert 9 <= slices < 20
    assert copies(exports) == [False] * 5
    share = RetentionShare.objects.get(org=exports[0].org)
    assert (share.files, share.answers, share.events) == (5, 5, 5)
    assert AuditLog.objects.filter(action=Action.CONTENTS_REMOVED).count() == 1


def test_a_run_whose_worker_died_is_taken_up_and_a_busy_one_is_not(configured, old):
    old(1)
    now = timezone.now()
    (run,) = runs.due(now)
    RetentionRun.objects.update(lease_token="of another", lease_until=now + timedelta(minutes=10))
    assert runs.work(run).busy
    assert runs.due(now + timedelta(minutes=9)) == []
    assert runs.due(now + timedelta(minutes=11)) == [run]
    RetentionRun.objects.update(lease_until=now - timedelta(minutes=1))
    assert runs.work(run).removed == 3


def test_a_worker_that_was_frozen_leaves_the_run_to_the_one_that_took_over(configured, old, at_crashpoint):
    old(3)
    (run,) = runs.due(timezone.now())
    soon = timezone.now() + timedelta(minutes=5)

    def another_takes_over():
        RetentionRun.objects.update(lease_token="of another", lease_until=soon)

    at_crashpoint("prune-marked", another_takes_over)

    assert runs.work(run).busy
    row = RetentionRun.objects.get(pk=run)
    assert (row.lease_token, row.lease_until, row.finished_at) == ("of another", soon, None)


def test_a_worker_that_was_frozen_and_wakes_up_counts_nothing_twice(configured, old, at_crashpoint):
    exports = old(3)
    (run,) = runs.due(timezone.now())

    def another_takes_over():
        RetentionRun.objects.update(lease_until=timezone.now() - timedelta(hours=1))
        assert runs.work(run).removed == 6

    at_crashpoint("prune-marked", another_takes_over)
    worked = runs.work(run)

    assert worked.removed == 3
    assert copies(exports) == [False] * 3
    told = AuditLog.objects.filter(action=Action.CONTENTS_REMOVED).values_list("after", flat=True)
    assert list(told) == [{"files": 3, "answers": 3, "events": 3}]


@REAL
def test_two_at_once_take_everything_once(configured, old):
    exports = old(30)
    run = runs.begin(org=None, older_than=DAYS)
    (daily,) = runs.due(timezone.now())

    found = together(*[lambda: runs.work(daily)] * 2, *[lambda: runs.work(run.pk)] * 2)

    # What one holds is left out by the others; if each met it so, it is for the next run.
    found.append(runs.work(runs.begin(org=None, older_than=DAYS).pk))
    assert sum(one.removed for one in found) == 90
    assert copies(exports) == [False] * 30
    told = AuditLog.objects.filter(action=Action.CONTENTS_REMOVED).values_list("after", flat=True)
    assert [sum(one[kind] for one in told) for kind in ("files", "answers", "events")] == [30, 30, 30]


@REAL
def test_two_sweeps_at_once_begin_one(configured):
    found = together(*[lambda: runs.due(timezone.now())] * 8)
    assert RetentionRun.objects.count() == 1
    assert sum(len(one) for one in found) == 1


@REAL
def test_answers_that_come_while_it_runs_are_all_counted(site, configured, old):
    exports = old(60)
    for export in exports:
        site.answer(f"ack_{export.filename}", ACKED)
    run = runs.begin(org=None, older_than=DAYS)

    report, worked = together(lambda: poll(site.connection.pk), lambda: runs.work(run.pk))

    assert (report.repeated, report.error, worked.error) == (60, "", "")
    runs.work(runs.begin(org=None, older_than=DAYS).pk)
    assert ERPExport.objects.filter(conflict_json__isnull=False).count() == 0
    assert AckFile.objects.filter(status=AckFileStatus.CONFLICT).count() == 0
    assert ERPExport.objects.filter(payload_removed_at=None).count() == 0


@REAL
@pytest.mark.postgres_only
def test_what_a_poll_holds_is_left_out_and_not_waited_for(site, configured, old):
    held, free = old(2)
    locked, done = Event(), Event()

    def hold():
        with transaction.atomic():
            list(ERPExport.objects.filter(pk=held.pk).select_for_update())
            locked.set()
            done.wait(20)

    def work():
        locked.wait(20)
        try:
            return runs.work(runs.begin(org=None, older_than=DAYS).pk)
        finally:
            done.set()

    _, worked = together(hold, work)

    assert worked.removed == 3
    assert copies([held, free]) == [True, False]


def test_metrics_and_doctor_tell(site, configured, old, scrape):  # noqa: F811
    old(1)
    (run,) = runs.due(timezone.now())
    RetentionRun.objects.update(began_at=timezone.now() - timedelta(days=3))
    assert scrape()["retention_age_seconds",] > 2 * 86_400
    assert [one.level for one in retention()] == [Level.WARNING, Level.OK]
    RetentionRun.objects.update(began_at=timezone.now())

    runs.work(run)

    found = scrape()
    assert found["retention_age_seconds",] < 60
    assert [found["retention_removed_total", kind] for kind in ("files", "answers", "events")] == [1, 1, 1]
    assert [one.level for one in retention()] == [Level.OK]


def test_statements_do_not_grow_with_the_rows(site, configured):
    counts = []
    for how_many in (2, 40):
        accepted(site, how_many)
        age()
        run = runs.begin(org=site.org, older_than=DAYS)
        with CaptureQueriesContext(connection) as asked:
            assert runs.work(run.pk).removed == 3 * how_many
        counts.append(len(asked))
    assert counts[1] <= counts[0] + 2
    assert counts[0] < 80
