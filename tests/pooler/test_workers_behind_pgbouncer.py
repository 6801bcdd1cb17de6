"""Real workers behind a real PgBouncer in transaction mode: each statement may reach another server session."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.jobs.processes import World, world_at
from tests.parts import require_program
from tests.servers.pgbouncer import pgbouncer
from tests.servers.postgres import migrated_server

pytestmark = [
    pytest.mark.deep,
    pytest.mark.timeout(400),
    pytest.mark.skipif(
        not Path("/proc/self/stat").exists(), reason="looks at processes in /proc, so needs Linux"
    ),
]
ORGS, ORDERS, LINES = 4, 6, 1_500
SETUP = """
from django.conf import settings
from erp_connectors.services.exports.push import push_many
from orderflow.orders.models import DraftOrderLine
from tests import factories
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
for name, config in {configs!r}.items():
    org = factories.org(slug=name)
    factories.connection(org, config)
    drafts = factories.drafts(org, {orders}, lines={lines})
    # A line of another org's order in a file would show.
    DraftOrderLine.objects.filter(draft_order__org=org).update(internal_sku=name)
    push_many(factories.ids(drafts), actor=None)
"""


@pytest.fixture
def urls(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The database directly, and behind a pooler with fewer server sessions than there are workers."""
    require_program("pgbouncer")
    with (
        migrated_server(tmp_path / "postgres") as direct,
        pgbouncer(tmp_path / "pgbouncer", direct, pool_size=3) as pooled,
    ):
        yield direct, pooled


def test_every_file_is_complete_when_workers_share_server_sessions(
    tmp_path: Path, urls: tuple[str, str]
) -> None:
    direct, pooled = urls
    folder = tmp_path / "world"
    configs: dict[str, dict[str, Any]] = {}
    for name in (f"org{n}" for n in range(ORGS)):
        place = folder / "dropzone" / name
        for part in ("in", "ack"):
            (place / part).mkdir(parents=True)
        configs[name] = {"mode": "filesystem", "export_path": f"{place}/in", "ack_path": f"{place}/ack"}
    world = world_at(folder, DATABASE_URL=direct, DELIVERY_BATCH_SIZE="4", ACK_POLL_INTERVAL_SECONDS="2")
    done = world.manage(
        "shell", "--no-imports", "-c", SETUP.format(configs=configs, orders=ORDERS, lines=LINES)
    )
    assert done.returncode == 0, done.stderr
    behind = replace(world, env={**world.env, "DATABASE_URL": pooled})

    with behind.running("run_workers", "--workers", "4", "--tick-every", "1") as workers:
        workers.wait_for(
            lambda: statuses(direct).get("PENDING", 0) == 0, "every export has left", seconds=200
        )
        _answer_all(folder, world)
        workers.wait_for(
            lambda: statuses(direct) == {"ACKED": ORGS * ORDERS}, "every export is answered", seconds=60
        )
    assert "InvalidCursorName" not in workers.said()

    for name in configs:
        files = sorted((folder / "dropzone" / name / "in").iterdir())
        assert len(files) == ORDERS
        for path in files:
            lines = json.loads(path.read_text())["lines"]
            assert [line["line_no"] for line in lines] == list(range(1, LINES + 1)), path.name
            assert {line["internal_sku"] for line in lines} == {name}


def _answer_all(folder: Path, world: World) -> None:
    for path in (folder / "dropzone").glob("*/in/*.json"):
        answer = {"status": "ACKED", "erp_order_id": f"SO-{path.stem}"}
        (path.parents[1] / "ack" / f"ack_{path.name}").write_text(json.dumps(answer))


def statuses(url: str) -> dict[str, int]:
    with psycopg.connect(url) as database:
        query = "SELECT status, count(*) FROM erp_connectors_erpexport GROUP BY status"
        return dict(database.execute(query).fetchall())
