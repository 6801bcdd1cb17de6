"""The demo's own world under ``var/demo``: never another database, folder or setting than its own."""

import fcntl
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from django.conf import settings
from django.core.management.base import CommandError

from orderflow import subprocess_group
from orderflow.subprocess_group import SubprocessGroup

INSIDE = "ORDERFLOW_DEMO"
FIXTURE = subprocess_group.ROOT / "fixtures" / "demo.json"
KEPT = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TERM",
    "COLUMNS",
    "TMPDIR",
    "PYTHONPATH",
    "VIRTUAL_ENV",
)
NONE: Mapping[str, str] = MappingProxyType({})


def is_inside() -> bool:
    return os.environ.get(INSIDE) == "1"


def enter(*, fresh: bool, poll_seconds: int, chosen: Mapping[str, str] = NONE) -> None:
    """Start this same command again inside the demo's world; does not return.

    ``fresh`` removes what was there; ``chosen`` are settings that the user named. Raises `CommandError`.
    """
    folder = Path(settings.VAR).resolve() / "demo"
    environment = _environment(folder, poll_seconds)
    if kept := sorted({*environment, "DATABASE_URL", "ARCHIVE_DIR"} & {*chosen}):
        raise CommandError(f"{', '.join(kept)}: the demo has its own, which can't be set.")
    _lock(folder)
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(subprocess_group.ROOT)
    sys.stdout.flush()
    program = [sys.executable, "-m", "tools.demo", *sys.argv[1:]]
    os.execve(program[0], program, environment | {**chosen})  # noqa: S606  # no shell is involved


def folder() -> Path:
    return Path(settings.VAR)


def command(name: str) -> str:
    """Return the shell command that runs `manage.py` on the demo's data from the checkout."""
    return f"ORDERFLOW_ENV=development VAR_DIR={shlex.quote(str(folder()))} .venv/bin/python manage.py {name}"


def start(name: str, *arguments: str, grace: float = 5.0) -> SubprocessGroup:
    """A `manage.py` command in the background, which ends with this process; its output goes to ``logs/name.log``."""
    return start_program(
        name, [sys.executable, str(subprocess_group.ROOT / "manage.py"), *arguments], grace=grace
    )


def start_program(name: str, program: list[str], *, grace: float = 5.0) -> SubprocessGroup:
    log_of(name).parent.mkdir(exist_ok=True)
    with log_of(name).open("wb") as output:
        return subprocess_group.start(
            program, env={**os.environ, "LOG_LEVEL": "INFO"}, output=output, grace=grace
        )


def log_of(name: str) -> Path:
    return folder() / "logs" / f"{name}.log"


def require_running(programs: dict[str, SubprocessGroup]) -> None:
    """Raises `CommandError` with the last lines of what ended too early."""
    for name, program in programs.items():
        if program.exit_code is not None:
            tail = "".join(log_of(name).read_text(errors="replace").splitlines(keepends=True)[-15:])
            raise CommandError(f"{name} ended with exit code {program.exit_code}. Its last words:\n{tail}")


def stop_all(programs: dict[str, SubprocessGroup], report: Callable[[str], None] | None = None) -> None:
    for program in programs.values():
        program.ask_to_stop()
    for name, program in programs.items():
        program.stop()
        if report:
            report(f"{name} stopped")


def _lock(folder: Path) -> None:
    """Held until this process, and the one it becomes, ends."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder.parent / "demo.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CommandError(
            "A demo or `make serve` is running on the demo's data already. Stop it first (Ctrl-C), then start again."
        ) from None
    os.set_inheritable(handle, True)


def _environment(folder: Path, poll_seconds: int) -> dict[str, str]:
    # Nothing of a real deployment's environment may reach the demo, its database least of all.
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return kept | {
        INSIDE: "1",
        "ORDERFLOW_ENV": "development",
        "VAR_DIR": str(folder),
        "DROPZONE_ROOTS": str(folder / "dropzone"),
        "SFTP_ALLOWED_HOSTS": "127.0.0.1",
        "ACK_POLL_INTERVAL_SECONDS": str(poll_seconds),
        "Q_WORKERS": "2",
        "LOG_LEVEL": "WARNING",  # of the command itself; what it starts logs into files
    }
