"""The supervisor's work with the database, in its own thread: schedules, heartbeats and ticks.

A tick wakes the sweep and the ack polling, more often than django-q2's own scheduler can. What is due is decided by
rows, so ticking twice does nothing twice.
"""

import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from datetime import timedelta

import structlog
from django.db import Error as DatabaseFailure
from django.db import close_old_connections, connection

from orderflow import clock, jobs
from orderflow.heartbeat.models import Heartbeat

QUEUE_IS_LONG = 20
ROW_IS_OLD = timedelta(days=1)
CLOCK_IS_OFF = timedelta(seconds=5)
EVERY_SECONDS = 0.5
# A longer wait does not show if the workers or the database are slow.
SLOW_SECONDS = 5.0

log = structlog.get_logger(__name__)


class Ticker:
    def __init__(
        self,
        clusters: Sequence[str],
        *,
        beat_every: float,
        tick_every: float,
        locked_at_most: float,
        report: Callable[[str], None],
    ) -> None:
        """``locked_at_most``: seconds after which SQLite's lock says something about the workers; see `_is_away`."""
        self.clusters = clusters
        self.beat_every = beat_every
        self.tick_every = tick_every
        self.locked_at_most = locked_at_most
        self.report = report
        self._answering_since: float | None = None
        self._busy_since: float | None = None
        self._told = False
        self._slow_since: float | None = None
        self._is_server = connection.vendor != "sqlite"
        self._gone: deque[str] = deque()
        self._stopping = threading.Event()
        self._next_beat = self._next_tick = 0.0
        # Keep the org scope of the caller.
        run = copy_context().run
        self._thread = threading.Thread(target=run, args=(self._run,), name="ticker", daemon=True)
        self._socket: int | None = None

    def forget(self, cluster: str) -> None:
        """Take the row of a cluster that is gone away, as soon as the database answers."""
        self._gone.append(cluster)

    def start(self) -> None:
        self._thread.start()

    @property
    def answering_since(self) -> float | None:
        """Since when the database answers at once, by `time.monotonic`; None if it does not."""
        return None if self._is_away() else self._answering_since

    def _is_away(self) -> bool:
        """Return True if the database does not answer at once.

        SQLite has no server that could be away. If it is locked for very long, a frozen worker may hold the lock, so
        the silence of the workers counts again.
        """
        if self._is_server or self._slow_since is None:
            return self.busy_for() > SLOW_SECONDS
        return time.monotonic() - self._slow_since < self.locked_at_most

    def busy_for(self) -> float:
        """Return for how many seconds the database has not answered what was asked last."""
        since = self._busy_since
        return time.monotonic() - since if since else 0.0

    def cut(self) -> None:
        """End the connection that does not answer; the thread meets an error and opens another one."""
        number = self._socket
        if number is None:
            return
        self._socket = None
        with suppress(OSError), socket.socket(fileno=os.dup(number)) as silent:
            silent.shutdown(socket.SHUT_RDWR)

    def stop(self, *, within: float) -> None:
        """Take the clusters' rows away, if the database answers in time."""
        self._stopping.set()
        self._thread.join(within)
        if self._thread.is_alive():
            self.cut()
            self._thread.join(1)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._with_database(self._once)
            self._stopping.wait(EVERY_SECONDS)
        self._with_database(lambda: Heartbeat.objects.filter(cluster__in=self.clusters).delete())
        connection.close()

    def _with_database(self, step: Callable[[], object]) -> None:
        """An outage of the database says nothing about the workers: they are left alone until it is over."""
        self._busy_since = began = time.monotonic()
        try:
            close_old_connections()
            connection.ensure_connection()
            self._socket = _socket_of()
            step()
        except DatabaseFailure as error:
            self._answering_since = None
            connection.close()
            if not self._told:
                self.report(f"the database does not answer, workers are left as they are: {error}".strip())
            self._told = True
        else:
            if self._told:
                self.report("the database answers again")
            self._told = False
            self._note_answer(began, time.monotonic())
        finally:
            self._busy_since = None
            self._socket = None

    def _note_answer(self, began: float, now: float) -> None:
        """Record when the database began to answer at once."""
        slow = now - began > SLOW_SECONDS
        if slow and not self._is_server:
            self._slow_since = self._slow_since or began
        elif slow or self._slow_since or self._answering_since is None:
            self._answering_since, self._slow_since = now, None

    def _once(self) -> None:
        if not self._next_tick:
            jobs.ensure_schedules()
            Heartbeat.objects.filter(beat_at__lt=clock.now() - ROW_IS_OLD).delete()
            self._warn_of_the_clock()
        while self._gone:
            Heartbeat.objects.filter(cluster=self._gone[0]).delete()
            self._gone.popleft()
        now = time.monotonic()
        # A long queue needs no more wake-ups, and the tasks in it show life by themselves.
        if now < min(self._next_beat, self._next_tick) or jobs.waiting() > QUEUE_IS_LONG * len(self.clusters):
            return
        if now >= self._next_beat:
            self._next_beat = now + self.beat_every
            for cluster in self.clusters:
                jobs.enqueue(jobs.Task.BEAT, cluster)
        if now >= self._next_tick:
            self._next_tick = now + self.tick_every
            for task in jobs.SCHEDULES.values():
                jobs.enqueue(task)

    def _warn_of_the_clock(self) -> None:
        ahead = clock.host_is_ahead()
        if abs(ahead) > CLOCK_IS_OFF:
            self.report(
                f"this host's clock differs from the database's by {ahead.total_seconds():.0f} s: let both take the "
                "time from an NTP server"
            )


def _socket_of() -> int | None:
    """Return the connection's file descriptor; SQLite has none."""
    return connection.connection.fileno() if connection.vendor == "postgresql" else None
