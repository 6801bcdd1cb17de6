"""Keeps background workers working: starts whole django-q2 clusters, and restarts one whole when it stops living.

A cluster whose parts were killed can look alive and do nothing, or end with exit code 0. So what counts is a pulse:
a task that one of its workers ran. Pulses come through a pipe, and the main thread never uses the database, so a
database that does not answer can hang neither the watching nor the end. What needs the database runs in a thread:
see `orderflow.ticker`.
"""

import os
import select
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import IO

from orderflow import subprocess_group
from orderflow.backoff import backoff
from orderflow.heartbeat.pulse import Pipe
from orderflow.heartbeat.tasks import CLUSTER
from orderflow.subprocess_group import SubprocessGroup
from orderflow.ticker import Ticker

LOOK_EVERY_SECONDS = 0.5
LAST_WORD_SECONDS = 3.0
# Before a cluster is started again; longer after each further short life.
FIRST_PAUSE = timedelta(seconds=0.25)
# How many times `Policy.stale_after` SQLite may be locked, by a backup for example, before the trees are replaced.
LOCKED_PATIENCE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All in seconds. A cluster that did not start ``start_within`` gets twice the time at its next start."""

    beat_every: float = 3.0
    stale_after: float = 30.0
    start_within: float = 60.0
    start_within_at_most: float = 960.0
    tick_every: float = 5.0
    stop_within: float = 30.0
    longest_pause: float = 30.0
    database_within: float = 30.0


class Cluster:
    """One django-q2 process tree and what is known of its health."""

    def __init__(self, name: str, workers: int, policy: Policy, output: "IO[bytes] | None") -> None:
        self.name = name
        self.workers = workers
        self.policy = policy
        self.output = output
        self.pipe = Pipe()
        self.tree: SubprocessGroup | None = None
        self.started_at = 0.0
        self.pulse_at: float | None = None
        self.restart_at = 0.0
        self.start_within = policy.start_within
        self.short_lives = 0

    @property
    def pid(self) -> int:
        """The process group of the tree."""
        return self.tree.process.pid if self.tree else 0

    def start(self) -> None:
        self.pipe.was_written()  # by the tree before, in its last moments
        env = {
            **os.environ,
            CLUSTER: self.name,
            "Q_WORKERS": str(self.workers),
            **self.pipe.environment,
        }
        self.tree = subprocess_group.start(
            [sys.executable, "-m", "orderflow.queue_cluster"],
            env=env,
            output=self.output,
            grace=self.policy.stop_within,
            pass_fds=[self.pipe.writing],
        )
        self.started_at, self.pulse_at = time.monotonic(), None

    def listen(self) -> None:
        if self.pipe.was_written():
            self.pulse_at = time.monotonic()

    def failure_reason(self, answering_since: float | None) -> str:
        """Return why the tree must be restarted; empty if it lives or is still starting.

        ``answering_since``: since when the database answers, None if it does not. Silence before that says nothing.
        """
        if self.tree is None:
            return ""
        if self.tree.exit_code is not None:
            return f"it ended with exit code {self.tree.exit_code}"
        if answering_since is None:
            return ""
        quiet = time.monotonic() - max(self.pulse_at or self.started_at, answering_since)
        if self.pulse_at is None:
            return f"no heartbeat {quiet:.0f} s after its start" if quiet > self.start_within else ""
        return f"no heartbeat for {quiet:.0f} s" if quiet > self.policy.stale_after else ""

    def remove(self) -> None:
        """Kill every process of the tree, and say when the next may start: later after each short life."""
        if self.tree and self.tree.exit_code is None and self.pulse_at is None:
            self.start_within = min(2 * self.start_within, self.policy.start_within_at_most)
        if self.tree:
            self.tree.kill()
        self.tree = None
        lived = time.monotonic() - self.started_at
        self.short_lives = 0 if lived > 2 * self.policy.start_within else self.short_lives + 1
        longest = timedelta(seconds=self.policy.longest_pause)
        pause = backoff(self.short_lives + 1, first=FIRST_PAUSE, longest=longest)
        self.restart_at = time.monotonic() + pause.total_seconds()


class Supervisor:
    def __init__(
        self,
        *,
        clusters: int,
        workers: int,
        policy: Policy,
        report: Callable[[str], None],
        output: "IO[bytes] | None" = None,
    ) -> None:
        stem = f"{socket.gethostname()[:30]}-{os.getpid()}"
        self.clusters = [Cluster(f"{stem}-{n}", workers, policy, output) for n in range(1, clusters + 1)]
        self.policy = policy
        self.report = report
        self.ticker = Ticker(
            [cluster.name for cluster in self.clusters],
            beat_every=policy.beat_every,
            tick_every=policy.tick_every,
            locked_at_most=LOCKED_PATIENCE * policy.stale_after,
            report=report,
        )
        self._stopping = False
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)

    def stop(self) -> None:
        """End `run`; for signal handlers. An Event's lock may be held by the very thread that a signal interrupts."""
        self._stopping = True
        with suppress(BlockingIOError):
            os.write(self._wake, b".")

    def run(self) -> None:
        """Until `stop`; leaves no process behind."""
        self.ticker.start()
        try:
            while not self._stopping:
                self._once()
                select.select([self._woken], [], [], LOOK_EVERY_SECONDS)
        finally:
            self._end()

    def _once(self) -> None:
        if self.ticker.busy_for() > self.policy.database_within:
            self.ticker.cut()
        answering_since = self.ticker.answering_since
        for cluster in self.clusters:
            cluster.listen()
            self._look_after(cluster, answering_since)

    def _look_after(self, cluster: Cluster, answering_since: float | None) -> None:
        failure_reason = cluster.failure_reason(answering_since)
        if failure_reason:
            self.report(f"{cluster.name}: {failure_reason}; restarting all of it")
            cluster.remove()
            self.ticker.forget(cluster.name)
        # Without a database a cluster would only end again.
        if answering_since and cluster.tree is None and time.monotonic() >= cluster.restart_at:
            cluster.start()
            self.report(f"{cluster.name}: started, process group {cluster.pid}, {cluster.workers} workers")

    def _end(self) -> None:
        for cluster in self.clusters:
            if cluster.tree:
                cluster.tree.ask_to_stop()
        for cluster in self.clusters:
            if cluster.tree:
                cluster.tree.stop()
                self.report(f"{cluster.name}: stopped")
            cluster.pipe.close()
        self.ticker.stop(within=LAST_WORD_SECONDS)
