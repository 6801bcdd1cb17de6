"""Heartbeats of workers: a task that ran, and tasks that are still running.

The row says it to whoever looks at the database, the pulse to the supervisor.
"""

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from django.db import Error as DatabaseFailure
from django.db import connection

from orderflow import jobs
from orderflow.heartbeat import pulse
from orderflow.heartbeat.models import Heartbeat

CLUSTER = "ORDERFLOW_CLUSTER"
EVERY_SECONDS = 4.0
MAX_HOPS = 6

log = structlog.get_logger(__name__)
_last_beat = float("-inf")


def beat(wanted: str = "", hops: str = "0") -> str:
    """Send a heartbeat for the cluster of the worker that runs this task.

    All clusters take from one queue, and one may be quicker each time: a beat that was meant for another cluster
    is handed on, a few times, at another moment.
    """
    name = os.environ.get(CLUSTER, "")
    if name:
        Heartbeat.beat(name)
        pulse.show()
    if wanted not in ("", name) and int(hops) < MAX_HOPS:
        time.sleep(random.uniform(0.0, 0.3))  # noqa: S311  # spread, not secrecy
        jobs.enqueue(jobs.Task.BEAT, wanted, str(int(hops) + 1))
    return name


@contextmanager
def alive() -> Iterator[None]:
    """Around the body of a task: while it takes long, beats go on that wait behind it in the queue."""
    if not os.environ.get(CLUSTER):
        yield
        return
    _beat_if_due()
    done = threading.Event()
    beater = threading.Thread(target=_beat_until, args=(done,), name="heartbeat", daemon=True)
    beater.start()
    try:
        yield
    finally:
        done.set()
        beater.join()


def _beat_until(done: threading.Event) -> None:
    try:
        while not done.wait(EVERY_SECONDS):
            _beat_if_due()
    finally:
        connection.close()


def _beat_if_due() -> None:
    global _last_beat  # noqa: PLW0603  # per worker process
    if time.monotonic() - _last_beat < EVERY_SECONDS:
        return
    try:
        beat()
        _last_beat = time.monotonic()
    except DatabaseFailure as error:
        log.warning("heartbeat.not_written", error=str(error))
