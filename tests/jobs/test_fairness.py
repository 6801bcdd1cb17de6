"""A connection that hangs, or holds thousands of acks, keeps nobody else waiting: real workers, a real server."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.processes import Running, World, new_world
from tests.servers.gate import gate
from tests.servers.openssh import openssh_server

pytestmark = [
    pytest.mark.deep,
    pytest.mark.timeout(240),
    pytest.mark.skipif(
        not Path("/proc/self/stat").exists(), reason="looks at processes in /proc, so needs Linux"
    ),
]
FLOOD, QUIET = 8_000, 3
HANGING = 3
SETUP = """
import json
from pathlib import Path
from tools.bench import answers, ours
from tests import factories
for name, (config, acks, written) in json.loads({setup!r}).items():
    connection = factories.connection(factories.org(slug=name), config)
    names = ours.sent_exports(connection, acks)
    print(json.dumps([name, names[:100]]))
    if written:
        answers.write_acks(Path(written), names)
"""


@pytest.fixture
def dropzones(tmp_path: Path) -> Iterator[dict[str, tuple[dict[str, object], int, str]]]:
    """For each org its connection's config, how many exports it has sent, and where their answers lie already."""
    root, own = tmp_path / "dropzone", tmp_path / "sshd"
    own.mkdir()
    with openssh_server(root, own) as server, gate(server.port) as silent:
        silent.choke()
        configs = {}
        for name in ("flood", "quiet", *(f"hangs{n}" for n in range(HANGING))):
            for place in ("in", "ack"):
                (root / name / place).mkdir(parents=True)
            config = server.config(
                export_path=server.path(f"{name}/in"),
                ack_path=server.path(f"{name}/ack"),
                connect_timeout=3,
            )
            if name.startswith("hangs"):
                config["port"] = silent.port
            how_many = {"flood": FLOOD, "quiet": QUIET}.get(name, 1)
            configs[name] = (config, how_many, str(root / name / "ack") if name == "flood" else "")
        yield configs


def test_a_quiet_connection_is_answered_while_others_hang_and_one_is_flooded(
    tmp_path: Path, dropzones: dict[str, tuple[dict[str, object], int, str]]
) -> None:
    world = new_world(tmp_path, ACK_POLL_INTERVAL_SECONDS="1", ACK_POLL_SECONDS="1", ACK_BATCH_SIZE="50")
    done = world.manage("shell", "--no-imports", "-c", SETUP.format(setup=json.dumps(dropzones)))
    assert done.returncode == 0, done.stderr
    names = dict(json.loads(line) for line in done.stdout.splitlines() if line.startswith("["))["quiet"]
    acks = tmp_path / "dropzone" / "quiet" / "ack"

    with world.running("run_workers", "--workers", "2", "--tick-every", "1") as workers:
        workers.wait_for(lambda: acked(world, "flood") > 0, "the flood begins to be worked off")
        flood_then = []
        for n, name in enumerate(names, 1):
            body = {"status": "ACKED", "erp_order_id": f"Q-{n}"}
            (acks / f"ack_{name}").write_text(json.dumps(body))
            _wait_until_acked(workers, world, n)
            flood_then.append(acked(world, "flood"))

    assert flood_then[-1] < FLOOD, "the flood was over too soon to prove anything"
    assert flood_then[-1] > flood_then[0], "the flood stood still"
    for name in dropzones:
        assert bool(problem(world, name)) == name.startswith("hangs")


def _wait_until_acked(workers: Running, world: World, how_many: int) -> None:
    workers.wait_for(lambda: acked(world, "quiet") >= how_many, f"quiet answer {how_many}", seconds=60)


def acked(world: World, org: str) -> int:
    query = (
        "SELECT count(*) FROM erp_connectors_erpexport e JOIN tenancy_org o ON o.id = e.org_id "
        "WHERE e.status = 'ACKED' AND o.slug = ?"
    )
    return int(str(_ask(world, query, org)))


def problem(world: World, org: str) -> str:
    query = (
        "SELECT coalesce(c.poll_error, '') FROM erp_connectors_erpconnection c "
        "JOIN tenancy_org o ON o.id = c.org_id WHERE o.slug = ?"
    )
    return str(_ask(world, query, org))


def _ask(world: World, query: str, org: str) -> object:
    with sqlite3.connect(world.database, timeout=20) as database:
        return database.execute(query, [org]).fetchone()[0]
