"""Real trees of processes, killed part by part."""

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.jobs.processes import Running, World, children, group_of, kill, new_world

pytestmark = [
    pytest.mark.deep,
    pytest.mark.timeout(400),
    pytest.mark.skipif(
        not Path("/proc/self/stat").exists(), reason="looks at processes in /proc, so needs Linux"
    ),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return new_world(tmp_path_factory.mktemp("workers"), LOG_LEVEL="DEBUG")


@pytest.fixture
def workers(world: World) -> Iterator[Running]:
    with world.running(
        "run_workers", "--workers", "2", "--stale-after", "10", "--stop-within", "5"
    ) as running:
        running.wait_until_said("started")
        running.wait_for(lambda: beats(running, world) == 1, "first heartbeat")
        yield running


def beats(workers: Running, world: World) -> int:
    return len(beat_times(workers, world))


def beat_times(workers: Running, world: World) -> list[str]:
    """Of this supervisor's clusters only: a killed one leaves its rows."""
    with sqlite3.connect(world.database, timeout=20) as database:
        query = "SELECT beat_at FROM heartbeat_heartbeat WHERE cluster LIKE ?"
        return [row[0] for row in database.execute(query, [f"%-{workers.process.pid}-%"])]


def sentinel_of(leader: int) -> int:
    (main,) = children(leader, leader)
    (sentinel,) = children(leader, main)
    return sentinel


def require_restarted(workers: Running, world: World) -> None:
    workers.wait_until_said("started", times=2)
    old, new = workers.groups()
    assert group_of(old) == {}, "a part of the old tree is left"
    before = beat_times(workers, world)  # the old tree's row is deleted once the database is free
    workers.wait_for(
        lambda: beats(workers, world) == 1 and beat_times(workers, world) > before,
        "a heartbeat after the restart",
    )
    assert len(group_of(new)) >= 7  # guardian, main, sentinel, two workers, pusher, monitor


def test_a_killed_sentinel_brings_a_whole_new_tree(workers: Running, world: World) -> None:
    kill(sentinel_of(workers.groups()[0]))
    require_restarted(workers, world)


def test_a_killed_cluster_brings_a_whole_new_tree(workers: Running, world: World) -> None:
    (leader,) = workers.groups()
    (main,) = children(leader, leader)
    kill(main)
    require_restarted(workers, world)


def test_a_killed_guardian_leaves_nothing_of_its_tree(workers: Running, world: World) -> None:
    kill(workers.groups()[0])
    require_restarted(workers, world)


def test_work_goes_on_after_idle_workers_were_killed(workers: Running, world: World) -> None:
    assert len(workers.living_workers()) == 2
    for pid in workers.living_workers():
        kill(pid)
    killed_at = time.monotonic()
    before = beat_times(workers, world)
    # Either django-q2 replaced them in time, or the heartbeat went stale and the tree was replaced.
    workers.wait_for(
        lambda: beats(workers, world) == 1 and beat_times(workers, world) > before,
        "a later heartbeat",
        seconds=60,
    )
    assert time.monotonic() - killed_at < 60


def freeze(leader: int) -> None:
    frozen: set[int] = set()
    while fresh := set(group_of(leader)) - frozen:  # one that was just forked, too
        for pid in fresh:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        frozen |= fresh


def test_a_frozen_tree_is_replaced_when_its_heartbeat_is_stale(workers: Running, world: World) -> None:
    with locked(world):  # so that no process of the tree holds the lock: that is the next test
        freeze(workers.groups()[0])
    workers.wait_until_said("no heartbeat for")
    require_restarted(workers, world)


def test_a_tree_that_was_frozen_in_a_transaction_is_replaced(workers: Running, world: World) -> None:
    with locked(world):  # as a frozen worker of the tree might
        freeze(workers.groups()[0])
        workers.wait_until_said("no heartbeat for", seconds=100)
    require_restarted(workers, world)


def test_a_lock_of_another_program_leaves_the_trees_alone(workers: Running, world: World) -> None:
    with locked(world):
        time.sleep(15)  # --stale-after is 10
    before = beat_times(workers, world)
    workers.wait_for(lambda: beat_times(workers, world) > before, "a later heartbeat")
    assert "no heartbeat" not in workers.said()


@contextmanager
def locked(world: World) -> Iterator[None]:
    with closing(sqlite3.connect(world.database, timeout=20, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        yield


def test_nothing_outlives_a_killed_supervisor(workers: Running) -> None:
    (leader,) = workers.groups()
    kill(workers.process.pid)
    workers.wait_for(lambda: group_of(leader) == {}, "the tree is gone")


def test_sigterm_ends_everything_within_its_bound(workers: Running, world: World) -> None:
    (leader,) = workers.groups()
    workers.process.terminate()
    assert workers.process.wait(12) == 0
    assert group_of(leader) == {}
    assert beats(workers, world) == 0
    assert "stopped" in workers.said()


def test_a_cluster_that_starts_slowly_gets_more_time_until_it_lives(world: World) -> None:
    options = ("--workers", "1", "--start-within", "0.5", "--stop-within", "5")
    with world.running("run_workers", *options) as running:
        running.wait_until_said("after its start; restarting")
        running.wait_for(lambda: beats(running, world) == 1, "a heartbeat", seconds=120)
        started = running.said().count("process group")
        time.sleep(5)
        assert running.said().count("process group") == started


def test_sigterm_in_the_first_moments_is_a_clean_end(world: World) -> None:
    for seconds in (0.0, 0.5, 1.0, 2.0):
        with world.running("run_workers", "--workers", "1", "--stop-within", "5") as running:
            running.wait_for(lambda: catches_sigterm(running.process.pid), "a handler")
            time.sleep(seconds)
            running.process.terminate()
            assert running.process.wait(60) == 0


def catches_sigterm(pid: int) -> bool:
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool(int(status["SigCgt"], 16) & 1 << (signal.SIGTERM - 1))


def test_each_cluster_shows_its_own_life_though_all_take_from_one_queue(world: World) -> None:
    options = ("--workers", "1", "--clusters", "3", "--stale-after", "20", "--stop-within", "5")
    with world.running("run_workers", *options) as running:
        running.wait_for(lambda: beats(running, world) == 3, "three heartbeats")
        after = max(map(datetime.fromisoformat, beat_times(running, world))) + timedelta(seconds=20)
        running.wait_for(
            lambda: all(datetime.fromisoformat(beat) > after for beat in beat_times(running, world)),
            "heartbeats of all after one without them would have been replaced",
        )
        assert "restarting" not in running.said()
        assert beats(running, world) == 3
        assert len(running.groups()) == 3


def test_senseless_numbers_are_refused_by_name(world: World) -> None:
    done = world.manage("run_workers", "--workers", "0")
    assert done.returncode != 0
    assert "--workers must be more than 0" in done.stderr
