"""A program ends, by itself or not: its guardian says how, and leaves nothing behind."""

import os
import signal
import sys
from pathlib import Path

import pytest

from orderflow import subprocess_group
from tests.jobs.processes import group_of

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="looks at processes in /proc, so needs Linux"
)


def program(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [("pass", 0), ("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 128 + 9)],
)
def test_a_program_that_ends_by_itself_is_reported_and_nothing_aborts(tmp_path, code, exit_code):
    with (tmp_path / "log").open("wb") as log:
        guarded = subprocess_group.start(program(code), output=log)
        assert guarded.process.wait(30) == exit_code
        guarded.kill()
    assert "Fatal Python error" not in (tmp_path / "log").read_text()


def test_what_it_left_running_ends_with_it(tmp_path):
    child = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
    guarded = subprocess_group.start(program(child))
    guarded.process.wait(30)
    guarded.kill()
    assert group_of(guarded.process.pid) == {}


def test_a_program_that_ignores_sigterm_is_killed_after_its_grace():
    reading, writing = os.pipe()
    code = f"import os, signal, time; signal.signal(15, signal.SIG_IGN); os.write({writing}, b'x'); time.sleep(60)"
    guarded = subprocess_group.start(program(code), grace=1.0, pass_fds=[writing])
    os.read(reading, 1)
    guarded.stop()
    assert guarded.exit_code == -signal.SIGKILL


def test_a_descriptor_that_is_passed_reaches_the_program():
    reading, writing = os.pipe()
    guarded = subprocess_group.start(program(f"import os; os.write({writing}, b'here')"), pass_fds=[writing])
    os.close(writing)
    assert guarded.process.wait(30) == 0
    assert os.read(reading, 10) == b"here"
    guarded.kill()
    os.close(reading)
