"""A host whose clock is hours ahead works for a while and is killed: the other hosts go on at once."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.jobs.processes import World, group_of, kill, world_at
from tests.servers.postgres import migrated_server

pytestmark = [
    pytest.mark.deep,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        not Path("/proc/self/stat").exists(), reason="looks at processes in /proc, so needs Linux"
    ),
]
AHEAD = """
import time
from datetime import timedelta
from django.utils import timezone

SECONDS = 5 * 3600
_time, _now = time.time, timezone.now
time.time = lambda: _time() + SECONDS
timezone.now = lambda: _now() + timedelta(seconds=SECONDS)
"""
SETUP = """
from django.conf import settings
from tests import factories
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
org = factories.org()
factories.connection(org, {config!r})
factories.drafts(org, 10)
"""
PUSH = """
from erp_connectors.services.exports.push import push_many
from orderflow.orders.models import DraftOrder
push_many(list(DraftOrder.objects.filter(status="APPROVED").values_list("pk", flat=True)[:5]), actor=None)
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with migrated_server(tmp_path / "postgres") as url:
        yield world_at(
            tmp_path / "world",
            DATABASE_URL=url,
            ACK_POLL_INTERVAL_SECONDS="5",
            DELIVERY_LEASE_SECONDS="10",
        )


def test_a_host_whose_clock_is_ahead_blocks_nobody(tmp_path: Path, world: World) -> None:
    patched = tmp_path / "patched"
    patched.mkdir()
    (patched / "sitecustomize.py").write_text(AHEAD)
    ahead = replace(world, env={**world.env, "PYTHONPATH": str(patched)})
    its_time = run(ahead, "from django.utils import timezone; print(timezone.now().timestamp())")
    assert float(its_time) > ask(world, DATABASE_TIME)[0] + 4 * 3600, "the clock is not ahead"

    setup(world)
    run(world, PUSH)
    with ahead.running("run_workers", "--workers", "2", "--tick-every", "1") as workers:
        workers.wait_for(lambda: count(world, "SENT") == 5, "the host that is ahead delivers")
        workers.wait_for(lambda: bool(ask(world, POLLED)[0]), "and polls")
        (leader,) = workers.groups()
        kill(workers.process.pid)
        workers.wait_for(lambda: group_of(leader) == {}, "its tree is gone")
    answer_all(world)
    run(world, PUSH)

    with world.running("run_workers", "--workers", "2", "--tick-every", "1") as workers:
        workers.wait_for(
            lambda: (count(world, "ACKED"), count(world, "SENT")) == (5, 5),
            "the others poll and deliver",
            seconds=60,
        )
        answer_all(world)
        workers.wait_for(lambda: count(world, "ACKED") == 10, "the others poll", seconds=60)


def setup(world: World) -> None:
    for part in ("in", "ack"):
        (world.folder / "dropzone" / part).mkdir(parents=True)
    root = world.folder / "dropzone"
    config = {"mode": "filesystem", "export_path": f"{root}/in", "ack_path": f"{root}/ack"}
    run(world, SETUP.format(config=config))


def run(world: World, program: str) -> str:
    done = world.manage("shell", "--no-imports", "-c", program)
    assert done.returncode == 0, done.stderr
    return done.stdout


def answer_all(world: World) -> None:
    for path in (world.folder / "dropzone" / "in").glob("*.json"):
        answer = {"status": "ACKED", "erp_order_id": f"SO-{path.stem}"}
        (world.folder / "dropzone" / "ack" / f"ack_{path.name}").write_text(json.dumps(answer))
        path.unlink()


COUNT = "SELECT count(*) FROM erp_connectors_erpexport WHERE status = %s"
POLLED = "SELECT last_poll_at FROM erp_connectors_erpconnection"
DATABASE_TIME = "SELECT extract(epoch FROM clock_timestamp())"


def count(world: World, status: str) -> int:
    return int(ask(world, COUNT, status)[0])


def ask(world: World, query: str, *values: str) -> tuple[Any, ...]:
    with psycopg.connect(world.env["DATABASE_URL"]) as database:
        found: tuple[Any, ...] | None = database.execute(query.encode(), values).fetchone()
    assert found is not None
    return found
