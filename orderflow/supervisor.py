"""Keeps background workers working: starts whole django-q2 clusters, and restarts one whole when it stops living.

A cluster whose parts were killed can look alive and do nothing, or end with exit code 0. So what counts is a
heartbeat: a task that one of its workers ran. The supervisor also ticks the sweep and the ack polling, more
often than django-q2's own scheduler can; what is due is decided by rows, so ticking twice does nothing twice.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import IO

import structlog
from django.db import Error as DatabaseTrouble
from django.db import close_old_connections

from orderflow import clock, guardian, jobs
from orderflow.guardian import Guarded
from orderflow.heartbeat.models import Heartbeat
from orderflow.heartbeat.tasks import BEAT, CLUSTER

QUEUE_IS_LONG = 20
ROW_IS_OLD = timedelta(days=1)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All in seconds."""

    beat_every: float = 3.0
    stale_after: float = 30.0
    start_within: float = 60.0
    tick_every: float = 5.0
    stop_within: float = 30.0
    longest_pause: float = 30.0


class Cluster:
    """One django-q2 process tree and what is known of its health."""

    def __init__(self, name: str, workers: int, policy: Policy, output: "IO[bytes] | None") -> None:
        self.name = name
        self.workers = workers
        self.policy = policy
        self.output = output
        self.tree: Guarded | None = None
        self.started_at = 0.0
        self.restart_at = 0.0
        self.short_lives = 0

    @property
    def pid(self) -> int:
        """The process group of the tree."""
        return self.tree.process.pid if self.tree else 0

    def start(self) -> None:
        Heartbeat.objects.filter(cluster=self.name).delete()
        env = {**os.environ, CLUSTER: self.name, "Q_WORKERS": str(self.workers)}
        program = [sys.executable, "-m", "orderflow", "qcluster"]
        self.tree = guardian.start(program, env=env, output=self.output, grace=self.policy.stop_within)
        self.started_at = time.monotonic()

    def ailment(self) -> str:
        """Why the tree must be restarted; empty: it lives, or is still starting."""
        if self.tree is None:
            return ""
        if self.tree.exit_code is not None:
            return f"it ended with exit code {self.tree.exit_code}"
        age = Heartbeat.age(self.name, now=clock.now())
        up = time.monotonic() - self.started_at
        if age is None:
            return f"no sign of life {up:.0f} s after its start" if up > self.policy.start_within else ""
        if age.total_seconds() > self.policy.stale_after:
            return f"no sign of life for {age.total_seconds():.0f} s"
        return ""

    def remove(self) -> None:
        """Kill every process of the tree, and say when the next may start: later after each short life."""
        if self.tree:
            self.tree.kill()
        self.tree = None
        lived = time.monotonic() - self.started_at
        self.short_lives = 0 if lived > 2 * self.policy.start_within else self.short_lives + 1
        pause = min(self.policy.longest_pause, 2 ** min(self.short_lives, 10) / 4)
        self.restart_at = time.monotonic() + pause


class Supervisor:
    def __init__(
        self,
        *,
        clusters: int,
        workers: int,
        policy: Policy,
        say: Callable[[str], None],
        output: "IO[bytes] | None" = None,
    ) -> None:
        stem = f"{socket.gethostname()[:30]}-{os.getpid()}"
        self.clusters = [Cluster(f"{stem}-{n}", workers, policy, output) for n in range(1, clusters + 1)]
        self.policy = policy
        self.say = say
        self.stopping = threading.Event()
        self._next_beat = self._next_tick = 0.0
        self._database_down = False

    def run(self) -> None:
        """Until `stopping` is set; leaves no process behind."""
        try:
            while not self.stopping.is_set():
                self._with_database(self._once)
                self.stopping.wait(0.5)
        finally:
            self._stop()

    def _with_database(self, step: Callable[[], None]) -> None:
        """An outage of the database says nothing about the workers: they are left alone until it is over."""
        try:
            close_old_connections()
            step()
        except DatabaseTrouble as error:
            if not self._database_down:
                self.say(f"the database does not answer, workers are left as they are: {error}".strip())
            self._database_down = True
        else:
            if self._database_down:
                self.say("the database answers again")
            self._database_down = False

    def _once(self) -> None:
        if not self._next_tick:
            jobs.ensure_schedules()
            Heartbeat.objects.filter(beat_at__lt=clock.now() - ROW_IS_OLD).delete()
        for cluster in self.clusters:
            self._look_after(cluster)
        self._enqueue()

    def _look_after(self, cluster: Cluster) -> None:
        ailment = cluster.ailment()
        if ailment:
            self.say(f"{cluster.name}: {ailment}; restarting all of it")
            cluster.remove()
        if cluster.tree is None and time.monotonic() >= cluster.restart_at:
            cluster.start()
            self.say(f"{cluster.name}: started, process group {cluster.pid}, {cluster.workers} workers")

    def _enqueue(self) -> None:
        now = time.monotonic()
        # A long queue needs no more wake-ups, and the tasks in it show life by themselves.
        if now < min(self._next_beat, self._next_tick) or jobs.waiting() > QUEUE_IS_LONG * len(self.clusters):
            return
        if now >= self._next_beat:
            self._next_beat = now + self.policy.beat_every
            for cluster in self.clusters:
                jobs.enqueue(BEAT, cluster.name)
        if now >= self._next_tick:
            self._next_tick = now + self.policy.tick_every
            for task in jobs.SCHEDULES.values():
                jobs.enqueue(task)

    def _stop(self) -> None:
        for cluster in self.clusters:
            if cluster.tree:
                cluster.tree.ask_to_stop()
        for cluster in self.clusters:
            if cluster.tree:
                cluster.tree.stop()
                self.say(f"{cluster.name}: stopped")
        try:
            Heartbeat.objects.filter(cluster__in=[cluster.name for cluster in self.clusters]).delete()
        except DatabaseTrouble as error:
            log.warning("heartbeat.not_deleted", error=str(error))
