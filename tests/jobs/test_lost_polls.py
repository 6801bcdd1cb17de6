"""Workers are killed while they hold wake-ups for ack folders: each folder is looked at again in time."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.processes import World, children, kill, new_world
from tests.servers.gate import gate
from tests.servers.openssh import openssh_server

pytestmark = [
    pytest.mark.deep,
    pytest.mark.timeout(240),
    pytest.mark.skipif(
        not Path("/proc/self/stat").exists(), reason="looks at processes in /proc, so needs Linux"
    ),
]
QUIET, HANGING, INTERVAL = 6, 2, 20
SETUP = """
import json
from datetime import timedelta
from django.utils import timezone
from tests import factories
for name, config in json.loads({configs!r}).items():
    # The hanging ones were never polled, so they come first.
    long_ago = None if name.startswith("hangs") else timezone.now() - timedelta(hours=1)
    factories.connection(factories.org(slug=name), config, last_poll_at=long_ago)
"""


@pytest.fixture
def configs(tmp_path: Path) -> Iterator[dict[str, dict[str, Any]]]:
    root, own = tmp_path / "dropzone", tmp_path / "sshd"
    own.mkdir()
    with openssh_server(root, own) as server, gate(server.port) as silent:
        silent.choke()
        configs: dict[str, dict[str, Any]] = {}
        for name in [f"hangs{n}" for n in range(HANGING)] + [f"quiet{n}" for n in range(QUIET)]:
            for part in ("in", "ack"):
                (root / name / part).mkdir(parents=True)
            configs[name] = server.config(
                export_path=server.path(f"{name}/in"),
                ack_path=server.path(f"{name}/ack"),
                connect_timeout=10,
            )
            if name.startswith("hangs"):
                configs[name]["port"] = silent.port
        yield configs


def test_a_killed_cluster_takes_no_wake_up_along(tmp_path: Path, configs: dict[str, dict[str, Any]]) -> None:
    world = new_world(tmp_path, ACK_POLL_INTERVAL_SECONDS=str(INTERVAL))
    done = world.manage("shell", "--no-imports", "-c", SETUP.format(configs=json.dumps(configs)))
    assert done.returncode == 0, done.stderr

    with world.running("run_workers", "--workers", "2", "--tick-every", "1") as workers:
        workers.wait_for(lambda: len(under_way(world)) == HANGING, "both workers hang in a poll")
        assert polled_lately(world) == 0, "the quiet folders were polled too soon to prove anything"
        (leader,) = workers.groups()
        (main,) = children(leader, leader)
        kill(main)
        # The two hanging ones block the workers of the new cluster at first, too: their leases run out.
        workers.wait_for(
            lambda: polled_lately(world) == QUIET, "every quiet folder is polled", seconds=1.2 * INTERVAL + 15
        )


def under_way(world: World) -> list[str]:
    query = "SELECT id FROM erp_connectors_erpconnection WHERE poll_lease_token != ''"
    return [row[0] for row in ask(world, query)]


def polled_lately(world: World) -> int:
    query = "SELECT count(*) FROM erp_connectors_erpconnection WHERE last_poll_at > datetime('now', '-30 minutes')"
    return int(ask(world, query)[0][0])


def ask(world: World, query: str) -> list[Any]:
    with sqlite3.connect(world.database, timeout=20) as database:
        return database.execute(query).fetchall()
