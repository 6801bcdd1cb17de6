"""A world of its own for programs that tests start: database, folders, environment; and a look at /proc."""

import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.processes import running
from tests.servers.templates import template

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class World:
    folder: Path
    env: dict[str, str]

    @property
    def database(self) -> Path:
        return self.folder / "orderflow.sqlite3"

    def migrate(self) -> None:
        done = self.manage("migrate", "--verbosity", "0")
        assert done.returncode == 0, done.stderr

    def manage(
        self, *arguments: str, program: Sequence[str] = ("manage.py",)
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, *program, *arguments],
            cwd=ROOT, env=self.env, text=True, capture_output=True, timeout=400, check=False,
        )  # fmt: skip

    @contextmanager
    def running(self, *arguments: str, program: Sequence[str] = ("manage.py",)) -> Iterator["Running"]:
        log = self.folder / f"{arguments[0]}.log"
        with log.open("wb") as output:
            command = [sys.executable, *program, *arguments]
            with running(
                command, grace=40, cwd=ROOT, env=self.env, stdout=output, stderr=subprocess.STDOUT
            ) as process:
                yield Running(process, log)


@dataclass(frozen=True)
class Running:
    process: "subprocess.Popen[bytes]"
    log: Path

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def groups(self) -> list[int]:
        """The process groups it said to have started."""
        return [int(number) for number in re.findall(r"process group (\d+)", self.said())]

    def living_workers(self) -> list[int]:
        """The queue says which they are with ``LOG_LEVEL=DEBUG`` only."""
        ready = {int(number) for number in re.findall(r"ready for work at (\d+)", self.said())}
        return sorted(ready & group_of(self.groups()[-1]).keys())

    def wait_for(self, happened: Callable[[], bool], what: str, *, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, f"{what}: not within {seconds} s\n{self.said()[-3000:]}"
            time.sleep(0.1)

    def wait_until_said(self, text: str, *, times: int = 1, seconds: float = 120) -> None:
        self.wait_for(lambda: self.said().count(text) >= times, f"{text!r}, {times} times", seconds=seconds)


def world_at(folder: Path, **settings: str) -> World:
    """Return a world whose database is left as it is."""
    return World(folder, {**_environment(folder), **settings})


def new_world(folder: Path, **settings: str) -> World:
    """Return a world with a migrated database, in a folder that is made if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    world = world_at(folder, **settings)
    made = None if "DATABASE_URL" in settings else template("sqlite", _migrate_sqlite)
    if made:
        shutil.copy(made / world.database.name, world.database)
    else:
        world.migrate()
    return world


def _migrate_sqlite(folder: Path) -> None:
    folder.mkdir()
    world_at(folder).migrate()
    assert not list(folder.glob("*-wal")), "a journal would have to be copied, too"


def collected_static() -> str:
    """Return a folder of static files as production serves them: STATIC_ROOT of a world with production's settings."""
    made = template("static", _collect_static)
    assert made, "only tests need this"
    return str(made / "static")


def _collect_static(folder: Path) -> None:
    folder.mkdir()
    world = world_at(folder, ALLOWED_HOSTS="127.0.0.1")
    del world.env["ORDERFLOW_ENV"]
    done = world.manage("collectstatic", "--noinput")
    assert done.returncode == 0, done.stderr


def _environment(folder: Path) -> dict[str, str]:
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ},
        "ORDERFLOW_ENV": "development",
        "SECRET_KEY": secrets.token_hex(32),
        "ENCRYPTION_MASTER_KEY": secrets.token_hex(32),
        "VAR_DIR": str(folder),
    }


def group_of(leader: int) -> dict[int, int]:
    """Process id -> parent's id, of the living members of a process group."""
    members = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state, parent, group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(group) == leader and state != "Z":
            members[int(entry.name)] = int(parent)
    return members


def children(leader: int, parent: int) -> list[int]:
    return sorted(pid for pid, its_parent in group_of(leader).items() if its_parent == parent)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
