"""The programs as a service runs them: their arguments, what they write and queue, and what is left when they crash."""

import json
import os
import resource
import secrets
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.processes import World, collected_static, group_of, new_world
from tests.leaks.canaries import Canary, random_text
from tests.leaks.test_servers import Echo
from tests.servers import asyncssh_server as servers
from tests.watch.test_gunicorn import running as web_of

pytestmark = [
    pytest.mark.deep,
    pytest.mark.timeout(180),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at /proc, so needs Linux"),
]

ORDERS = """
from erp_connectors.models import ERPConnection
from erp_connectors.services.exports.push import push
from tests import factories
import json, os
config = json.loads(os.environ["CONFIG"])
connection = factories.connection(factories.org(), config)
for _ in range(3):
    push(factories.draft(connection.org).pk, actor=None)
"""
RESULTS = """
from django_q.models import OrmQ
for waiting in OrmQ.objects.all():
    print("waiting", waiting.task)
"""


@pytest.fixture
def canaries() -> dict[str, Canary]:
    names = ("SECRET_KEY", "METRICS_TOKEN", "S3_SECRET_ACCESS_KEY", "e-mail password", "SSH password")
    found = {name: Canary(name, random_text(60)) for name in names}
    return {**found, "ENCRYPTION_MASTER_KEY": Canary("ENCRYPTION_MASTER_KEY", secrets.token_hex(32))}


@pytest.fixture(autouse=True)
def _cores_allowed() -> Iterator[None]:
    """As on a machine that writes them."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)


@pytest.fixture
def world(tmp_path: Path, canaries: dict[str, Canary]) -> World:
    settings = {name: canary.value for name, canary in canaries.items() if name.isupper()}
    mail = f"smtp://orderflow:{canaries['e-mail password'].value}@127.0.0.1:1"
    extra = {"ALLOWED_HOSTS": "127.0.0.1", "SFTP_ALLOW_LOOPBACK": "true", "PYTHONFAULTHANDLER": "1"}
    return new_world(tmp_path, LOG_LEVEL="DEBUG", LOG_FORMAT="json", EMAIL_URL=mail, **settings, **extra)


def leaked(canaries: dict[str, Canary], texts: dict[str, str]) -> list[str]:
    return [
        f"{canary.kind} ({spelling}) in {place}"
        for place, text in texts.items()
        for canary in canaries.values()
        for spelling in canary.found_in(text)
    ]


def left_by(world: World) -> dict[str, str]:
    """Every file of that world, the database and all logs among them, as bytes."""
    return {
        f"file {path.name}": path.read_bytes().decode("utf-8", "replace")
        for path in world.folder.rglob("*")
        if path.is_file()
    }


def arguments(pids: Any) -> dict[str, str]:
    return {f"arguments of {pid}": Path(f"/proc/{pid}/cmdline").read_text() for pid in pids}


def core_limit(pid: int) -> str:
    """What a program has in memory would be in its core, the keys among it."""
    (line,) = [line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if "core file" in line]
    return line.split()[4]


def test_workers_that_meet_a_talkative_server_and_crash(world, canaries, tmp_path, monkeypatch):
    root = tmp_path / "root"
    for folder in ("in", "ack"):
        (root / folder).mkdir(parents=True)
    password = canaries["SSH password"].value
    echo = type("OfTest", (Echo,), {"password": password, "refuses": "says no"})
    monkeypatch.setattr(servers, "_Server", echo)
    with servers.asyncssh_server(root) as server:
        config = json.dumps(server.config(password=password, ssh_key=None))
        made = World(world.folder, {**world.env, "CONFIG": config}).manage(
            "shell", "--no-imports", "-c", ORDERS
        )
        assert made.returncode == 0, made.stderr
        with world.running(
            "run_workers", "--workers", "1", "--stop-within", "3", "--tick-every", "1"
        ) as workers:
            workers.wait_until_said("process group")
            workers.wait_for(lambda: refused(world), "a delivery that is refused", seconds=60)
            pids = [workers.process.pid, *(pid for group in workers.groups() for pid in group_of(group))]
            argv = arguments(pids)
            assert len(argv) > 4
            assert {core_limit(pid) for pid in pids} == {"0"}
            os.kill(workers.living_workers()[0], signal.SIGSEGV)
            workers.wait_until_said("Segmentation fault")
        said = workers.said()
        told = world.manage("shell", "--no-imports", "-c", RESULTS)
        assert told.returncode == 0, told.stderr

    assert "login" in said.lower()
    assert leaked(canaries, {**argv, **left_by(world), "workers": said, "queue": told.stdout}) == []


def refused(world: World) -> bool:
    with sqlite3.connect(world.database, timeout=20) as database:
        query = "SELECT count(*) FROM erp_connectors_erpexport WHERE error_json IS NOT NULL"
        return bool(database.execute(query).fetchone()[0])


def test_a_web_server_whose_worker_crashes(world, canaries):
    development = {**world.env, "STATIC_ROOT": collected_static()}
    production = World(world.folder, {k: v for k, v in development.items() if k != "ORDERFLOW_ENV"})
    with web_of(production) as web:
        web.wait_until_said("Booting worker")
        assert web.get("/admin/login/") == 200
        (worker,) = [int(str(line["pid"])) for line in web.lines("Booting worker")]
        argv = arguments([web.process.pid, worker])
        assert {core_limit(pid) for pid in (web.process.pid, worker)} == {"0"}
        os.kill(worker, signal.SIGSEGV)
        deadline = time.monotonic() + 120
        while "Current thread" not in web.log.read_text():
            assert time.monotonic() < deadline, web.log.read_text()
            time.sleep(0.1)

    assert leaked(canaries, {**argv, **left_by(production)}) == []
