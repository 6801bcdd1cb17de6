"""``make soak``: clusters of workers share many connections on one PostgreSQL, and one is killed every few seconds.

Half of the connections are folders, half go over OpenSSH; half of the ERPs take each file at once, half leave it.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from tests.crash.erp import Erp
from tests.jobs.processes import ROOT, Running, World, new_world
from tests.servers.openssh import openssh_server
from tests.servers.postgres import postgres_server

PUSH = """
import json
from pathlib import Path
from erp_connectors.services.exports.push import push_many
from tests import factories
from tools.bench.ours import approved_orders
for name, config in json.loads(Path({configs!r}).read_text()).items():
    org = factories.org(slug=name)
    factories.connection(org, config)
    ids = approved_orders(org, {each}, lines=2)
    for start in range(0, len(ids), 500):
        push_many(ids[start : start + 500], actor=None)
"""
FIGURES = """
SELECT e.filename, e.sha256, e.export_storage_key, e.status, d.status,
       (SELECT count(*) FROM audit_auditlog a WHERE a.action = 'DRAFT_PUSHED' AND a.entity_id = d.id::text)
FROM erp_connectors_erpexport e JOIN orders_draftorder d ON d.id = e.draft_order_id
"""


@dataclass
class Cluster:
    """One host's workers: killed as a power cut would, with all that they started."""

    world: World
    stack: ExitStack = field(default_factory=ExitStack)
    running: Running | None = None

    def start(self) -> None:
        arguments = ("--workers", "2", "--tick-every", "1", "--stale-after", "10")
        self.running = self.stack.enter_context(self.world.running("run_workers", *arguments))

    def kill(self) -> None:
        assert self.running is not None
        groups = self.running.groups()
        self.running.process.kill()
        for group in groups:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
        self.running.process.wait()
        self.stack.close()


def main() -> None:
    options = _options()
    (ROOT / "var").mkdir(exist_ok=True)
    with ExitStack() as stack:
        place = tempfile.TemporaryDirectory(dir=ROOT / "var", prefix="soak-", ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(place))
        folder.chmod(0o755)
        url = stack.enter_context(postgres_server(folder / "postgres"))
        configs, erps = _dropzones(stack, folder, options.connections)
        world = new_world(
            folder / "world",
            DATABASE_URL=url,
            DROPZONE_ROOTS=str(folder),
            DELIVERY_LEASE_SECONDS="5",
            DELIVERY_BATCH_SIZE="50",
        )
        (folder / "configs.json").write_text(json.dumps(configs))
        each = options.exports // options.connections
        code = PUSH.format(configs=str(folder / "configs.json"), each=each)
        done = world.manage("shell", "--no-imports", "-c", code)
        assert done.returncode == 0, done.stderr
        clusters = [Cluster(World(folder / f"host{n}", world.env)) for n in range(options.clusters)]
        for cluster in clusters:
            cluster.world.folder.mkdir()
        seconds, kills = _run(clusters, url, options)
        for erp in erps.values():
            erp.close()
        figures = _judge(url, folder / "world" / "archive", erps)
    figures |= {
        "seconds": round(seconds, 1),
        "kills": kills,
        "exports_per_second": round(figures["exports"] / seconds),
    }
    print(json.dumps(figures, indent=1))
    sys.exit(0 if figures["published_once"] == figures["exports"] and not figures["wrong"] else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make soak")
    parser.add_argument("--clusters", type=int, default=3)
    parser.add_argument("--connections", type=int, default=40)
    parser.add_argument("--exports", type=int, default=2000, help="over all connections")
    parser.add_argument("--kill-every", type=float, default=5, metavar="SECONDS")
    parser.add_argument("--seconds", type=float, default=600, help="give up after so long")
    return parser.parse_args()


def _dropzones(stack: ExitStack, folder: Path, how_many: int) -> tuple[dict[str, Any], dict[str, Erp]]:
    root, own = folder / "dropzones", folder / "sshd"
    root.mkdir()
    own.mkdir()
    server = stack.enter_context(openssh_server(root, own, extra="MaxStartups 100\nMaxSessions 20"))
    configs: dict[str, Any] = {}
    erps: dict[str, Erp] = {}
    for n in range(how_many):
        name = f"org-{n:03}"
        (root / name).mkdir()
        if n % 2:
            configs[name] = server.config(export_path=server.path(name), ack_path=None)
        else:
            configs[name] = {"mode": "filesystem", "export_path": str(root / name)}
        erps[name] = Erp(root / name, takes=n % 4 < 2)
        stack.callback(erps[name].close)
    return configs, erps


def _run(clusters: list[Cluster], url: str, options: argparse.Namespace) -> tuple[float, int]:
    started, kills = time.monotonic(), 0
    chance = random.Random(1)
    try:
        for cluster in clusters:
            cluster.start()
        killed = time.monotonic()
        with psycopg.connect(url, autocommit=True) as database:
            while _waiting(database) and time.monotonic() - started < options.seconds:
                time.sleep(0.2)
                if time.monotonic() - killed > options.kill_every:
                    victim = chance.choice(clusters)
                    victim.kill()
                    victim.start()
                    kills, killed = kills + 1, time.monotonic()
        return time.monotonic() - started, kills
    finally:
        for cluster in clusters:
            cluster.kill()


def _waiting(database: "psycopg.Connection[Any]") -> int:
    query = "SELECT count(*) FROM erp_connectors_erpexport WHERE status <> 'SENT'"
    row = database.execute(query).fetchone()
    return int(row[0]) if row else 0


def _judge(url: str, archive: Path, erps: dict[str, Erp]) -> dict[str, Any]:
    appeared: dict[str, int] = {}
    contents: dict[str, set[bytes]] = {}
    unfinished: set[str] = set()
    for erp in erps.values():
        appeared |= erp.seen.appeared
        contents |= erp.seen.contents
        unfinished |= erp.seen.unfinished
    with psycopg.connect(url) as database:
        rows = database.execute(FIGURES).fetchall()
    wrong = [row[0] for row in rows if not _is_right(row, contents.get(row[0], set()), archive)]
    counts = [appeared.get(row[0], 0) for row in rows]
    return {
        "exports": len(rows),
        "published_once": counts.count(1),
        "lost": sum(1 for row, n in zip(rows, counts, strict=True) if row[3] == "SENT" and n == 0),
        "not_sent": sum(1 for row in rows if row[3] != "SENT"),
        "twice": sum(1 for count in counts if count > 1),
        "partial": len(unfinished),
        "unknown_files": len(appeared.keys() - {row[0] for row in rows}),
        "wrong": len(wrong),
        "examples": wrong[:5],
    }


def _is_right(row: tuple[Any, ...], bodies: set[bytes], archive: Path) -> bool:
    """What was seen is what was archived and recorded, and the rows say so."""
    _, sha256, key, status, draft_status, audited = row
    archived = (archive / key).read_bytes()
    whole = bodies == {archived} and hashlib.sha256(archived).hexdigest() == sha256
    return whole and (status, draft_status, audited) == ("SENT", "PUSHED", 1)


if __name__ == "__main__":
    main()
