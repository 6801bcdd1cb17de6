"""Let a hanging test fail alone and say where it hung.

pytest-timeout's `thread` method ends the whole process, and with it an xdist worker; its `signal` method uses SIGALRM,
which django-q2 takes for itself when a task runs in the test's process. This uses another signal.
"""

import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

_SIGNAL = signal.SIGUSR2
_GRACE_SECONDS = 120  # for a test that is stuck where no signal reaches Python


def start(item: pytest.Item, seconds: float) -> None:
    """Interrupt ``item`` after ``seconds``; end this process if it does not react."""
    signal.signal(_SIGNAL, lambda *_: _fail(seconds))
    interrupt = threading.Timer(seconds, signal.pthread_kill, (threading.main_thread().ident, _SIGNAL))
    end = threading.Timer(seconds + _GRACE_SECONDS, _end, (item.nodeid,))
    for timer in (interrupt, end):
        timer.daemon = True
        timer.start()
    item.stash[_TIMERS] = [interrupt, end]


def stop(item: pytest.Item) -> None:
    for timer in item.stash.get(_TIMERS, []):
        timer.cancel()


_TIMERS = pytest.StashKey[list[threading.Timer]]()


def _fail(seconds: float) -> None:
    with _real_stderr() as stderr:
        faulthandler.dump_traceback(stderr, all_threads=True)
    pytest.fail(f"no end after {seconds:.0f} s; the stacks of all threads are on standard error")


def _end(name: str) -> None:
    with _real_stderr() as stderr:
        print(f"\n{name} hangs and does not react to a signal; this process ends.", file=stderr)
        faulthandler.dump_traceback(stderr, all_threads=True)
    os._exit(1)


@contextmanager
def _real_stderr() -> Iterator[Any]:
    """Yield a stream with a file descriptor: captured output has none under xdist."""
    with os.fdopen(os.dup(sys.__stderr__.fileno() if sys.__stderr__ else 2), "w") as stream:
        yield stream
