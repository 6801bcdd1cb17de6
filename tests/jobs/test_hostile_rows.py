"""Rows that a stolen database role wrote into the queue's tables, and a real tree of workers: nothing in them runs."""

import base64
import os
import pickle
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.processes import World, new_world

pytestmark = [pytest.mark.deep, pytest.mark.timeout(300)]

SIGNED = """
from django_q.tasks import async_task
async_task("os.mkdir", {path!r})
async_task("orderflow.heartbeat.tasks.beat", hook="os.mkdir", chain=[("os.mkdir", ({path!r},))])
"""
COLUMNS = {
    "django_q_schedule": "name, func, hook, args, kwargs, schedule_type, minutes, repeats, next_run, cluster,"
    " intended_date_kwarg",
    "django_q_task": "id, name, func, hook, args, kwargs, result, started, stopped, success, attempt_count",
    "django_q_ormq": '"key", payload, lock',
}
PAST = "2020-01-01 00:00:00"


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def insert(world: World, table: str, *values: Any) -> None:
    with sqlite3.connect(world.database, timeout=20) as database:
        marks = ", ".join("?" for _ in values)
        database.execute(f"INSERT INTO {table} ({COLUMNS[table]}) VALUES ({marks})", values)  # noqa: S608


def count(world: World, query: str) -> int:
    with sqlite3.connect(world.database, timeout=20) as database:
        return int(database.execute(query).fetchone()[0])


def test_rows_in_the_queues_tables_run_no_code_and_work_goes_on(tmp_path: Path) -> None:
    world, ran = new_world(tmp_path), tmp_path / "ran"
    ran.mkdir()
    bomb = base64.b64encode(pickle.dumps(Bomb(ran / "pickle"))).decode()

    def schedule(func: str, hook: "str | None", args: "str | None", kwargs: "str | None") -> None:
        insert(world, "django_q_schedule", "x", func, hook, args, kwargs, "I", 1, -1, PAST, None, None)

    schedule("os.mkdir", None, repr(str(ran / "schedule")), None)
    schedule("os.mkdir", None, repr(str(ran / "at-once")), "q_options={'sync': True}")
    schedule("erp_connectors.tasks.sweep", "os.mkdir", None, None)
    for number, success in enumerate((True, False)):
        insert(
            world, "django_q_task", f"{number:032}", "x", "orderflow.heartbeat.tasks.beat", "os.mkdir", bomb, bomb,
            bomb, PAST, PAST, success, 1,
        )  # fmt: skip
    insert(world, "django_q_ormq", "orderflow", bomb, PAST)
    insert(world, "django_q_ormq", "orderflow", f"{bomb}:1abcde:{'A' * 43}", PAST)
    queued = world.manage("shell", "--no-imports", "-c", SIGNED.format(path=str(ran / "queued")))
    assert queued.returncode == 0, queued.stderr

    with world.running("run_workers", "--workers", "1", "--stop-within", "5") as workers:
        # The scheduler's first turn comes 30 s after the start.
        workers.wait_for(
            lambda: workers.said().count("schedule.refused") == 3, "refused schedules", seconds=150
        )
        workers.wait_until_said("task_results.refused")
        workers.wait_until_said("task.refused")
        workers.wait_for(lambda: count(world, "SELECT count(*) FROM heartbeat_heartbeat") == 1, "a heartbeat")
        own = "SELECT count(*) FROM django_q_schedule WHERE task IS NOT NULL"
        workers.wait_for(lambda: count(world, own) == 2, "the scheduler's own schedules")

    assert list(ran.iterdir()) == []
    assert count(world, "SELECT count(*) FROM django_q_schedule") == 2
    assert count(world, "SELECT count(*) FROM django_q_task") == 0
    assert "os.mkdir" in workers.said()
