"""Start a program so that it and its child processes end with the process that started it.

Between the two stands a guardian process, which leads the program's process group and reads a pipe. The pipe
closes when the starter wants it to, and also when the starter dies in whatever way.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class SubprocessGroup:
    """A program under its guardian; the guardian's process id is that of the whole group."""

    process: "subprocess.Popen[bytes]"
    grace: float

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self.process.poll()

    def ask_to_stop(self) -> None:
        assert self.process.stdin is not None  # noqa: S101  # `start` makes it a pipe
        self.process.stdin.close()

    def stop(self) -> None:
        """Ask, wait for as long as it may take, then kill whatever is left of the group."""
        self.ask_to_stop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(self.grace + 1)
        self.kill()

    def kill(self) -> None:
        """Kill the whole group at once; also right when only leftovers of it exist."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.ask_to_stop()


def start(
    program: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    output: "IO[bytes] | None" = None,
    grace: float = 10.0,
    pass_fds: Sequence[int] = (),
) -> SubprocessGroup:
    """``output`` None: the program shares this one's. ``grace``: seconds from SIGTERM to SIGKILL.

    ``pass_fds``: file descriptors that the program inherits.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, str(grace), ",".join(map(str, pass_fds)), *program],
        pass_fds=pass_fds,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
        env={**(os.environ if env is None else env), "PYTHONPATH": _python_path()},
        start_new_session=True,
    )
    return SubprocessGroup(process, grace)


def _python_path() -> str:
    # Where the command itself was found comes along: the settings may be those of another project.
    return os.pathsep.join(filter(None, [str(ROOT), sys.path[0], os.environ.get("PYTHONPATH")]))


def main(arguments: Sequence[str]) -> int:
    grace, program = float(arguments[0]), arguments[2:]
    pass_fds = [int(number) for number in filter(None, arguments[1].split(","))]
    # Handlers, not SIG_IGN, which the program would inherit.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    child = subprocess.Popen(program, stdin=subprocess.DEVNULL, pass_fds=pass_fds)
    threading.Thread(target=_stop_on_end_of_file, args=(child, grace), daemon=True).start()
    code = child.wait()
    os.killpg(0, signal.SIGTERM)
    return code if code >= 0 else 128 - code


def _stop_on_end_of_file(child: "subprocess.Popen[bytes]", grace: float) -> None:
    # Not through sys.stdin: its lock, held by this thread, would abort the interpreter when the main thread ends.
    while os.read(0, 4096):
        pass
    child.terminate()
    time.sleep(grace)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
