"""No program that tests started outlives the tests, however they end."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.jobs.processes import ROOT
from tests.servers.orphans import Arguments

pytestmark = [
    pytest.mark.deep,
    pytest.mark.skipif(sys.platform != "linux", reason="adopts orphans, so needs Linux"),
    pytest.mark.timeout(600),
]
START_TWO_PROGRAMS = """
import os, signal, sys, time
from pathlib import Path
from tests.servers.processes import start

stubborn = '''
import pathlib, signal, sys, time
for number in (2, 15):
    signal.signal(number, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).touch()
time.sleep(600)
'''
start([sys.executable, "-c", stubborn, sys.argv[1]])
start(["sleep", "600"])
while not Path(sys.argv[1]).exists():
    time.sleep(0.02)
"""


def left_by(ready: Path, command: list[str], *, number: int, files: int, to_group: bool = False) -> list[str]:
    arguments = Arguments(command, number, to_group, str(ready), files, seconds=60)
    observing = [sys.executable, "-m", "tests.servers.orphans", json.dumps(asdict(arguments))]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment["READY"] = str(ready)
    done = subprocess.run(observing, cwd=ROOT, env=environment, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr[-8000:]
    left: list[str] = json.loads(done.stdout)
    return left


@pytest.fixture
def ready(tmp_path: Path) -> Path:
    (made := tmp_path / "ready").mkdir()
    return made


@pytest.mark.parametrize("hangs", [True, False], ids=["killed", "ended"])
def test_programs_end_with_the_process_that_started_them(ready: Path, *, hangs: bool) -> None:
    program = START_TWO_PROGRAMS + ("time.sleep(600)" if hangs else "")

    left = left_by(ready, [sys.executable, "-c", program, str(ready / "1")], number=signal.SIGKILL, files=1)

    assert left == []


@pytest.mark.parametrize(
    ("workers", "number", "to_group"),
    [(0, signal.SIGTERM, False), (2, signal.SIGKILL, False), (2, signal.SIGINT, True)],
    ids=["terminated", "killed", "interrupted"],
)
def test_servers_end_with_the_test_run(ready: Path, workers: int, number: int, *, to_group: bool) -> None:
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", str(workers)]
    run += ["tests/servers/hanging.py"]

    left = left_by(ready, run, number=number, files=workers or 1, to_group=to_group)

    assert left == []
