"""Not part of the suite: a run that `test_processes.py` interrupts while each kind of server is running."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.jobs.processes import new_world
from tests.servers.chromium import chromium
from tests.servers.delay_proxy import delay_proxy
from tests.servers.openssh import openssh_server
from tests.servers.postgres import postgres_server
from tests.servers.processes import start
from tests.servers.proftpd import proftpd_server
from tests.servers.rclone_sftp import rclone_sftp_server
from tests.servers.s3 import s3_server

STUBBORN = "import signal, time\nfor n in (2, 15): signal.signal(n, signal.SIG_IGN)\ntime.sleep(600)"


@contextmanager
def workers(folder: Path) -> Iterator[None]:
    folder.mkdir()
    with new_world(folder).running("run_workers", "--workers", "1"):
        yield


# Each is a function of an empty folder; the programs of the last three may be missing.
SERVERS: tuple[Callable[[Path], AbstractContextManager[object]], ...] = (
    workers,
    postgres_server,
    lambda folder: s3_server(made(folder)),
    lambda folder: rclone_sftp_server(made(folder / "root"), made(folder)),
    lambda folder: delay_proxy(9, round_trip=0.1),
    lambda folder: openssh_server(made(folder / "root"), made(folder)),
    lambda folder: proftpd_server(made(folder / "root"), made(folder)),
    lambda folder: chromium(),
)


def made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.timeout(900)
@pytest.mark.parametrize("number", [1, 2])
def test_it_hangs(number: int, tmp_path: Path) -> None:
    """Several workers of a run share the servers out."""
    start([sys.executable, "-c", STUBBORN])
    share = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    with ExitStack() as stack:
        for kind, server in enumerate(SERVERS):
            if kind % share == (number - 1) % share:
                with suppress(pytest.skip.Exception):
                    stack.enter_context(server(tmp_path / str(kind)))
        Path(os.environ["READY"], str(number)).touch()
        time.sleep(600)
