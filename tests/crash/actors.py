"""Deliveries and polls in threads of their own, of which one runs at a time: each can be stopped at a crash point.

Quicker than processes, and each order of events can be played again. What is killed here still releases its lease;
the processes of the matrix do not.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context

from django.db import connection

from erp_connectors import crashpoints

SECONDS = 120


class Killed(BaseException):
    """The end of a worker, in the middle of its work."""


class Actor:
    """Runs ``work`` up to a crash point, and dies or freezes there; or to its end."""

    def __init__(self, work: Callable[[], object], *, dies_at: str = "", freezes_at: str = "") -> None:
        self._work = work
        self._dies_at = dies_at
        self._freezes_at = freezes_at
        self._paused = threading.Event()
        self._go = threading.Event()
        self._ended = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=copy_context().run, args=(self._run,), daemon=True)
        self._thread.start()
        self._wait()

    @property
    def frozen(self) -> bool:
        return not self._ended

    def thaw(self) -> None:
        self._paused.clear()
        self._go.set()
        self._wait()

    def pass_by(self, point: str) -> None:
        if point == self._dies_at:
            raise Killed
        if point == self._freezes_at:
            self._freezes_at = ""
            self._paused.set()
            self._go.wait()

    def _run(self) -> None:
        _on_stage.actor = self
        try:
            self._work()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001  # raised again where the test waits
            self._error = error
        finally:
            connection.close()
            self._ended = True
            self._paused.set()

    def _wait(self) -> None:
        assert self._paused.wait(SECONDS), "a worker hangs"
        if self._ended:
            self._thread.join(SECONDS)
        if self._error:
            raise self._error


_on_stage = threading.local()


@contextmanager
def stage() -> Iterator[None]:
    """Actors are stopped at crash points while this lasts."""

    def listener(point: str) -> None:
        actor = getattr(_on_stage, "actor", None)
        if actor:
            actor.pass_by(point)

    crashpoints.listener = listener
    try:
        yield
    finally:
        crashpoints.listener = None
