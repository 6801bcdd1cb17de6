"""The test's side of `tests.crash.worker`: start workers that die, freeze, wake up and finish."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection

from tests.crash.orders import Ended, Order, Run
from tests.servers.processes import start

ROOT = Path(__file__).resolve().parents[2]


class Workers:
    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._process = process
        self._log = log
        self.settings: dict[str, Any] = {}

    def run(self, task: str, connection_id: UUID, *, lease: float = 60, **options: Any) -> Ended:
        """One worker, until it ends or freezes. ``lease``: seconds that its lease lasts when nobody renews it."""
        settings = {**self.settings, "DELIVERY_LEASE_SECONDS": lease, **options.pop("settings", {})}
        return self._ask(
            Order(run=Run(task=task, connection=str(connection_id), settings=settings, **options))
        )

    def wake(self, frozen: Ended, *, fails: bool = False) -> Ended:
        return self._ask(Order(wake=frozen.pid), fails=fails)

    def _ask(self, order: Order, *, fails: bool = False) -> Ended:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the workers are gone:\n{self._log.read_text()[-4000:]}"
        ended = msgspec.json.decode(line, type=Ended)
        assert ended.how not in (("hung",) if fails else ("failed", "hung")), (
            f"{ended.how}: {ended.said}\n{self._log.read_text()[-4000:]}"
        )
        return ended


@contextmanager
def workers(folder: Path) -> Iterator[Workers]:
    """Workers on the test's database."""
    log = folder / "workers.log"
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "orderflow.settings"}
    command = [sys.executable, "-m", "tests.crash.worker", str(connection.settings_dict["NAME"])]
    with log.open("wb") as output:
        process = start(
            command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output
        )
    try:
        yield Workers(process, log)
    finally:
        assert process.stdin
        process.stdin.close()
        process.wait(40)
