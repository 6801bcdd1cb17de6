import ast
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from django.utils.module_loading import import_string
from django_q.models import OrmQ, Schedule

from orderflow import jobs
from orderflow.broker import DatabaseClockBroker
from orderflow.tenancy import scope

TASK = jobs.Task.BEAT


@pytest.fixture(autouse=True)
def _empty_queue(transactional_db: None) -> Iterator[None]:
    OrmQ.objects.all().delete()
    yield
    OrmQ.objects.all().delete()


def queued() -> list[tuple[str, tuple[str, ...]]]:
    return [(row.task["func"], row.task["args"]) for row in OrmQ.objects.order_by("pk")]


def test_a_wake_up_leaves_only_with_the_commit() -> None:
    with transaction.atomic():
        jobs.wake(TASK, "a")
        assert queued() == []
    assert queued() == [(TASK, ("a",))]


def test_a_rolled_back_transaction_wakes_nobody() -> None:
    with transaction.atomic():
        jobs.wake(TASK)
        transaction.set_rollback(True)
    assert queued() == []


def test_a_broker_that_is_down_does_not_fail_the_request(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def down(self: DatabaseClockBroker, task: str) -> None:
        raise DatabaseError("broker is down")

    monkeypatch.setattr(DatabaseClockBroker, "enqueue", down)
    with transaction.atomic():
        jobs.wake(TASK)
    assert "wake.lost" in caplog.text
    assert jobs.enqueue(TASK) is False


def test_only_listed_tasks_can_be_asked_for() -> None:
    with pytest.raises(ValueError, match=r"add it to jobs\.Task"):
        jobs.enqueue("os.mkdir", "/tmp/x")  # noqa: S108  # is not made
    assert queued() == []


def test_listed_tasks_exist() -> None:
    assert all(callable(import_string(task)) for task in jobs.TASKS)


def test_tasks_that_nobody_took_are_counted() -> None:
    jobs.enqueue(TASK)
    jobs.enqueue(TASK)
    assert jobs.waiting() == 2


def schedules() -> list[tuple[str, str, int]]:
    return list(Schedule.objects.order_by("pk").values_list("name", "func", "minutes"))


EVERY_MINUTE = [(name, task, 1) for name, task in jobs.SCHEDULES.items()]


def test_many_starts_at_once_make_one_schedule_of_each_kind() -> None:
    Schedule.objects.all().delete()
    errors: list[BaseException] = []
    barrier = threading.Barrier(8)

    @scope.everything()
    def start() -> None:
        try:
            barrier.wait()
            jobs.ensure_schedules()
        except BaseException as error:  # noqa: BLE001  # shown by the assertion below
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert schedules() == EVERY_MINUTE


def test_wrong_and_double_schedules_are_put_right_and_others_left_alone() -> None:
    Schedule.objects.all().delete()
    Schedule.objects.create(name="sweep", func="gone.away", schedule_type=Schedule.DAILY)
    Schedule.objects.create(name="sweep", func="gone.away", schedule_type=Schedule.DAILY)
    other = Schedule.objects.create(name="somebody else's", func="their.task", schedule_type=Schedule.DAILY)
    jobs.ensure_schedules()
    Schedule.objects.filter(name="sweep").update(func="gone.away", minutes=7, args="broken(")
    jobs.ensure_schedules()
    assert Schedule.objects.filter(pk=other.pk).exists()
    assert [row for row in schedules() if row[0] != other.name] == EVERY_MINUTE
    assert not Schedule.objects.exclude(pk=other.pk).exclude(args=None).exists()


def test_starting_again_does_not_put_off_the_next_run() -> None:
    jobs.ensure_schedules()
    before = list(Schedule.objects.order_by("pk").values_list("next_run", flat=True))
    jobs.ensure_schedules()
    assert list(Schedule.objects.order_by("pk").values_list("next_run", flat=True)) == before


def test_a_schedule_that_a_clock_ahead_put_off_runs_soon() -> None:
    jobs.ensure_schedules()
    Schedule.objects.update(next_run=timezone.now() + timedelta(hours=5))
    jobs.ensure_schedules()
    latest = Schedule.objects.order_by("-next_run").values_list("next_run", flat=True)[0]
    assert latest <= timezone.now() + timedelta(seconds=5)


def test_each_task_is_named_in_one_place():
    root = Path(__file__).resolve().parents[2]
    sources = [path for of in ("orderflow", "erp_connectors") for path in (root / of).rglob("*.py")]
    literals = {
        (path.relative_to(root).as_posix(), node.value)
        for path in sources
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in jobs.TASKS
    }

    assert literals == {("orderflow/jobs.py", task) for task in jobs.TASKS}
