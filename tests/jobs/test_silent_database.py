"""The database falls silent: no error, no end. The supervisor ends when asked to, and work goes on alone."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.jobs.processes import Running, World, group_of, world_at
from tests.servers.gate import Gate, gate
from tests.servers.postgres import migrated_server

pytestmark = [
    pytest.mark.deep,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        not Path("/proc/self/stat").exists(), reason="looks at processes in /proc, so needs Linux"
    ),
]
STALE, STOP = 8, 5


@dataclass(frozen=True)
class Silenced:
    world: World
    between: Gate
    url: str

    def beats(self, workers: Running) -> list[object]:
        """Asked directly, not through the gate."""
        query = "SELECT beat_at FROM heartbeat_heartbeat WHERE cluster LIKE %s"
        with psycopg.connect(self.url) as database:
            return [row[0] for row in database.execute(query, [f"%-{workers.process.pid}-%"])]

    def wait_until_alive(self, workers: Running) -> None:
        """Two heartbeats: the answer to the first may still be on its way when its row can be seen."""
        seen: set[object] = set()

        def two() -> bool:
            seen.update(self.beats(workers))
            return len(seen) > 1

        workers.wait_for(two, "two heartbeats", seconds=60)


@pytest.fixture
def silenced(tmp_path: Path) -> Iterator[Silenced]:
    with migrated_server(tmp_path / "postgres") as url:
        parts = urlsplit(url)
        with gate(parts.port or 0) as between:
            (tmp_path / "world").mkdir()
            direct = world_at(tmp_path / "world", DATABASE_URL=url)
            login = parts.netloc.rpartition("@")[0]
            through = parts._replace(netloc=f"{login}@127.0.0.1:{between.port}").geturl()
            env = {**direct.env, "DATABASE_URL": through, "DATABASE_CONNECT_SECONDS": "2"}
            yield Silenced(replace(direct, env=env), between, url)


def options() -> tuple[str, ...]:
    return ("run_workers", "--workers", "2", "--stale-after", str(STALE), "--stop-within", str(STOP))


def test_sigterm_ends_everything_within_its_bound(silenced: Silenced) -> None:
    with silenced.world.running(*options()) as workers:
        silenced.wait_until_alive(workers)
        (leader,) = workers.groups()
        silenced.between.choke()
        time.sleep(4)  # by now everything waits for an answer
        workers.process.terminate()
        began = time.monotonic()
        assert workers.process.wait(STOP + 15) == 0
        assert time.monotonic() - began < STOP + 10
        assert group_of(leader) == {}


def test_sigterm_ends_it_before_the_database_answered_at_all(silenced: Silenced) -> None:
    silenced.between.choke()
    with silenced.world.running(*options()) as workers:
        workers.wait_until_said("the database does not answer")
        workers.process.terminate()
        assert workers.process.wait(60) == 0


def test_work_goes_on_once_the_database_answers_again(silenced: Silenced) -> None:
    """Workers that wait on a silent connection are replaced; those that met an error go on by themselves."""
    with silenced.world.running(*options()) as workers:
        silenced.wait_until_alive(workers)
        silenced.between.choke()
        # A connection that does not answer is cut only after `database_within` seconds.
        workers.wait_until_said("the database does not answer", seconds=120)
        silenced.between.open()
        workers.wait_until_said("the database answers again", seconds=120)
        # New connections are answered; those of before stay silent for ever.
        before = max(silenced.beats(workers), default=None, key=str)
        workers.wait_for(
            lambda: any(beat != before for beat in silenced.beats(workers)), "a later heartbeat", seconds=120
        )
        *replaced, _last = workers.groups()
        assert [group_of(leader) for leader in replaced] == [{} for _ in replaced]


def test_workers_that_hang_are_replaced(silenced: Silenced) -> None:
    """Silenced again and again: a worker that hangs in a task shows life over a connection that it opens only then."""
    with silenced.world.running(*options()) as workers:
        silenced.wait_until_alive(workers)
        (first,) = workers.groups()
        for _ in range(4):
            silenced.between.silence_connected()
            deadline = time.monotonic() + 30
            while not (replaced := workers.said().count("started") > 1) and time.monotonic() < deadline:
                time.sleep(0.1)
            if replaced:
                break
        workers.wait_until_said("started", times=2, seconds=1)
        assert group_of(first) == {}
        workers.wait_for(lambda: bool(silenced.beats(workers)), "a heartbeat of the new workers", seconds=60)
