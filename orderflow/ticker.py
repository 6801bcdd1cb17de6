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
        self, clusters: Sequence[str], *, beat_every: float, tick_every: float, report: Callable[[str], None]
    ) -> None:
        self.clusters = clusters
        self.beat_every = beat_every
        self.tick_every = tick_every
        self.report = report
        self._answering_since: float | None = None
        self._busy_since: float | None = None
        self._told = False
        # SQLite is never away: a statement that waits there waits for a process of this host, perhaps a frozen worker.
        self._may_be_away = connection.vendor != "sqlite"
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
        away = self._may_be_away and self.busy_for() > SLOW_SECONDS
        return None if away else self._answering_since

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
            now = time.monotonic()
            if self._answering_since is None or (self._may_be_away and now - began > SLOW_SECONDS):
                self._answering_since = now
        finally:
            self._busy_since = None
            self._socket = None

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
