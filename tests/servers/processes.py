"""Start programs that end with the process that started them, even if that process is killed.

Each test process has one reaper, a process in a session of its own that reads a pipe. Every program reports its id
there before it runs. The pipe closes when the test process ends in any way, and the reaper then stops every
program that still runs. (`PR_SET_PDEATHSIG` would stop a program together with the thread that started it.)
"""

import atexit
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import create_connection, create_server
from typing import Any

# PostgreSQL waits for its clients after SIGTERM, cuts them off after SIGINT and kills its processes after SIGQUIT; they
# are not in its process group. Seconds to wait after each.
_SIGNALS = {signal.SIGTERM: 2.0, signal.SIGINT: 5.0, signal.SIGQUIT: 8.0, signal.SIGKILL: 1.0}
# The pipe is the standard input until the program takes the place of the shell.
_REPORT_AND_BECOME = ["sh", "-c", 'echo $$ >&0; exec "$@" </dev/null', "sh"]
_lock = threading.Lock()
_pipe: int | None = None


def start(command: Sequence[str | Path], **options: Any) -> "subprocess.Popen[bytes]":
    """Start a program in a session and process group of its own; ``options`` are those of `subprocess.Popen`."""
    if "stdin" in options:
        process = subprocess.Popen(command, start_new_session=True, **options)
        adopt(process.pid)
        return process
    reporting = [*_REPORT_AND_BECOME, *command]
    return subprocess.Popen(reporting, stdin=_pipe_to_reaper(), start_new_session=True, **options)


def adopt(pid: int) -> None:
    """Let the reaper also stop a program that another program started."""
    os.write(_pipe_to_reaper(), b"%d\n" % pid)


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    grace: float = 30,
    signals: Sequence[int] = (signal.SIGTERM,),
    **options: Any,
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program until the block ends; then send the signals, and SIGKILL last, each ``grace`` seconds later."""
    process = start(command, **options)
    try:
        yield process
    finally:
        stop(process, grace=grace, signals=signals)


def stop(
    process: "subprocess.Popen[bytes]", *, grace: float = 30, signals: Sequence[int] = (signal.SIGTERM,)
) -> None:
    for number in signals:
        if process.poll() is not None:
            return
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that no program uses now."""
    with create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def wait_until_listening(
    process: "subprocess.Popen[bytes]", port: int, *, log: Path, seconds: float = 60
) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    ended = "does not answer" if process.returncode is None else f"ended with code {process.returncode}"
    raise RuntimeError(f"{process.args!r} {ended}:\n{log.read_text(errors='replace')[-4000:]}")


def _pipe_to_reaper() -> int:
    global _pipe  # one reaper for each process
    with _lock:
        if _pipe is None:
            reading, _pipe = os.pipe()
            command = [sys.executable, "-I", "-S", __file__]
            reaper = subprocess.Popen(
                command, stdin=reading, stdout=subprocess.DEVNULL, start_new_session=True
            )
            os.close(reading)
            atexit.register(_end, reaper)
        return _pipe


def _end(reaper: "subprocess.Popen[bytes]") -> None:
    assert _pipe is not None
    os.close(_pipe)
    reaper.wait()


class _Program:
    """A process behind a handle that stays valid if its id is given to another process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._handle = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None

    def runs(self) -> bool:
        if self._handle is not None:
            return not select.select([self._handle], [], [], 0)[0]
        with suppress(OSError):
            os.kill(self.pid, 0)
            return True
        return False

    def close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)


def _reap() -> None:
    """Stop every program whose id came through the pipe, once the pipe is closed."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    programs: list[_Program] = []
    while line := sys.stdin.buffer.readline():
        ended = [program for program in programs if not program.runs()]
        for program in ended:
            program.close()
            programs.remove(program)
        with suppress(ProcessLookupError):
            programs.append(_Program(int(line)))
    left = [program for program in programs if program.runs()]
    for number, seconds in _SIGNALS.items():
        for program in (program for program in left if program.runs()):
            _signal(program.pid, number)
        deadline = time.monotonic() + seconds
        while any(program.runs() for program in left) and time.monotonic() < deadline:
            time.sleep(0.02)


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)


if __name__ == "__main__":
    _reap()
