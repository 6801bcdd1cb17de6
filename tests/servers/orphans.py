"""``python -m tests.servers.orphans ARGUMENTS``: interrupt a program and print which of its descendants still run.

The arguments are one JSON object: see `Arguments`. As a "child subreaper" this process becomes the parent of every
descendant whose own parent ended, so that none is overlooked.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_READY_SECONDS = 300


@dataclass
class Arguments:
    """``signal`` is sent once ``folder`` holds ``files`` files: to the process, or to its process group as Ctrl-C does.
    A process that has ended by then gets none.

    ``seconds``: time that the descendants get to end.
    """

    command: list[str]
    signal: int
    to_group: bool
    folder: str
    files: int
    seconds: float


def main(arguments: Arguments) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    # A shell lets what it runs in the background ignore Ctrl-C, and children inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(arguments.command, stdout=sys.stderr, start_new_session=True)
    deadline = time.monotonic() + _READY_SECONDS
    while not _is_ready(arguments):
        ended = process.poll() is not None
        if (ended and not _is_ready(arguments)) or time.monotonic() > deadline:
            _kill_all()
            sys.exit("the program was not ready")
        time.sleep(0.1)
    with suppress(ProcessLookupError):
        (os.killpg if arguments.to_group else os.kill)(process.pid, arguments.signal)
    deadline = time.monotonic() + arguments.seconds
    while _descendants() and time.monotonic() < deadline:
        time.sleep(0.1)
    print(json.dumps([_arguments(pid) for pid in _descendants()]))
    _kill_all()


def _is_ready(arguments: Arguments) -> bool:
    return len(list(Path(arguments.folder).iterdir())) >= arguments.files


def _descendants() -> list[int]:
    """Return those that run; wait for those that ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    found, new = [], [os.getpid()]
    while new:
        new = [child for pid in new for child in _children(pid)]
        found += new
    return found


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [
            int(child)
            for tasks in Path(f"/proc/{pid}/task").iterdir()
            for child in (tasks / "children").read_text().split()
        ]
    return []


def _arguments(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ").strip()
    return ""


def _kill_all() -> None:
    while found := _descendants():
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main(Arguments(**json.loads(sys.argv[1])))
