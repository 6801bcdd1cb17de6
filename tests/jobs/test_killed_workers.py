"""Orders through real workers that are killed in the middle of their work."""

import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.processes import Running, World, kill, new_world
from tests.servers.openssh import openssh_server

pytestmark = [
    pytest.mark.deep,
    pytest.mark.timeout(180),
    pytest.mark.skipif(
        not Path("/proc/self/stat").exists(), reason="looks at processes in /proc, so needs Linux"
    ),
]
ORDERS = 60
SETUP = f"""
from django.conf import settings
from erp_connectors.services.exports.push import push
from tests import factories
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
for name, config in {{configs!r}}.items():
    org = factories.org(slug=name)
    factories.connection(org, config)
    for draft in factories.drafts(org, {ORDERS}):
        push(draft.pk, actor=None)
"""


def count(world: World, where: str) -> int:
    with sqlite3.connect(world.database, timeout=20) as database:
        query = f"SELECT count(*) FROM erp_connectors_erpexport WHERE {where}"  # noqa: S608  # our own words
        return int(database.execute(query).fetchone()[0])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "dropzone"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
    return folder


@pytest.fixture
def configs(root: Path, tmp_path: Path) -> Iterator[dict[str, dict[str, Any]]]:
    """A connection's config for each of the two folders: one is reached directly, one through OpenSSH."""
    own = tmp_path / "sshd"
    own.mkdir()
    with openssh_server(root, own) as server:
        yield {
            "a": {"mode": "filesystem", "export_path": str(root / "a")},
            "b": server.config(export_path=server.path("b"), ack_path=None),
        }


def test_every_order_is_there_once_and_whole_though_its_workers_were_killed(
    tmp_path: Path, root: Path, configs: dict[str, dict[str, Any]]
) -> None:
    world = new_world(tmp_path, DELIVERY_LEASE_SECONDS="4", DELIVERY_BATCH_SIZE="2", LOG_LEVEL="DEBUG")
    done = world.manage("shell", "--no-imports", "-c", SETUP.format(configs=configs))
    assert done.returncode == 0, done.stderr

    with world.running("run_workers", "--workers", "2", "--tick-every", "1", "--stale-after", "8") as workers:
        for orders in (10, 40):
            _wait_until_sent(workers, world, orders)
            _kill_workers(workers)
        assert count(world, "status = 'PENDING'") > 0, "they were killed too late to prove anything"
        _wait_until_sent(workers, world, 2 * ORDERS)

    files = {path.name: path.read_bytes() for path in root.glob("*/*")}
    with sqlite3.connect(world.database) as database:
        rows = database.execute("SELECT filename, sha256, export_storage_key FROM erp_connectors_erpexport")
        recorded = {name: (sha256, key) for name, sha256, key in rows}
    assert set(files) == set(recorded)
    for name, (sha256, key) in recorded.items():
        assert hashlib.sha256(files[name]).hexdigest() == sha256
        assert (tmp_path / "archive" / key).read_bytes() == files[name]


def _wait_until_sent(workers: Running, world: World, orders: int) -> None:
    workers.wait_for(lambda: count(world, "status = 'SENT'") >= orders, f"{orders} orders sent", seconds=90)


def _kill_workers(workers: Running) -> None:
    for pid in workers.living_workers():
        kill(pid)
