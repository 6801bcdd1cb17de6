"""Not part of the suite: a run that `test_processes.py` interrupts while each kind of server is running."""

import os
import sys
import time
from contextlib import ExitStack, suppress
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


@pytest.mark.timeout(900)
@pytest.mark.parametrize("number", [1, 2])
def test_it_hangs(number: int, tmp_path: Path) -> None:
    def folder(name: str) -> Path:
        (made := tmp_path / name).mkdir()
        return made

    root = folder("root")
    start([sys.executable, "-c", STUBBORN])
    with ExitStack() as stack:
        world = new_world(folder("world"))
        stack.enter_context(world.running("run_workers", "--workers", "1"))
        stack.enter_context(postgres_server(tmp_path / "postgres"))
        stack.enter_context(s3_server(folder("s3")))
        stack.enter_context(rclone_sftp_server(root, folder("rclone")))
        stack.enter_context(delay_proxy(9, round_trip=0.1))
        for optional in (
            lambda: openssh_server(root, folder("sshd")),
            lambda: proftpd_server(root, folder("proftpd")),
            chromium,
        ):
            with suppress(pytest.skip.Exception):
                stack.enter_context(optional())
        Path(os.environ["READY"], str(number)).touch()
        time.sleep(600)
