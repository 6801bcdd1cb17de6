"""Wrap django-q2 for the rest of the program. Rows are the truth; a task is a wake-up that may be lost or repeated."""

from datetime import timedelta
from enum import StrEnum

import structlog
from django.db import transaction
from django_q.brokers import get_broker
from django_q.models import Schedule
from django_q.tasks import async_task

from orderflow import clock, queue_guard
from orderflow.audit.context import current


class Task(StrEnum):
    """The functions that workers may run. Any other name is refused before anything is imported."""

    BEAT = "orderflow.heartbeat.tasks.beat"
    EXECUTE_RUN = "erp_connectors.tasks.execute_run"
    DELIVER = "erp_connectors.tasks.deliver"
    NOTIFY = "erp_connectors.tasks.notify"
    POLL = "erp_connectors.tasks.poll"
    POLL_DUE = "erp_connectors.tasks.poll_due"
    POLL_IF_DUE = "erp_connectors.tasks.poll_if_due"
    PRUNE = "erp_connectors.tasks.prune"
    SWEEP = "erp_connectors.tasks.sweep"


TASKS = frozenset(task.value for task in Task)
SCHEDULES = {"sweep": Task.SWEEP.value, "poll acks": Task.POLL_DUE.value}
# Fixed keys: the table does not keep names unique, its primary key is what two creators at once collide on.
FIRST_KEY = 1_000_000

log = structlog.get_logger(__name__)


def restrict_workers() -> None:
    """Restrict the workers of this process to `TASKS`, even if rows of the queue name other functions."""
    queue_guard.install(TASKS, SCHEDULES.values())


def wake(task: str, *args: str) -> None:
    """Ask a worker to run a task once this transaction is committed; the sweep finds what a lost wake-up missed."""
    transaction.on_commit(lambda: enqueue(task, *args))


def enqueue(task: str, *args: str) -> bool:
    """Ask a worker to run a task; False, and a log line, where the broker is down.

    The task gets the id of the request that asks, for its log lines.
    """
    if task not in TASKS:
        raise ValueError(f"workers do not run {task}: add it to jobs.Task")
    request_id = current.get().request_id
    origin = {"request_id": request_id} if request_id else {}
    try:
        with transaction.atomic():
            async_task(str(task), *args, **origin)
    except Exception:  # a broker that is down must not fail what is already committed
        log.warning("wake.lost", task=str(task), args=args, exc_info=True)
        return False
    return True


def waiting() -> int:
    """Return the number of tasks that no worker has taken yet."""
    size: int = get_broker().queue_size()
    return size


def ensure_schedules() -> None:
    """One schedule of each kind, as `SCHEDULES` says; safe to run at any time, by many at once."""
    for key, (name, task) in enumerate(SCHEDULES.items(), start=FIRST_KEY):
        wanted = {"name": name, "func": task, "schedule_type": Schedule.MINUTES, "minutes": 1, "repeats": -1}
        with transaction.atomic():
            doubles = Schedule.objects.filter(name=name).exclude(pk=key)
            if doubles.exists():  # a database role without the right to delete must not be asked to
                doubles.delete()
            Schedule.objects.update_or_create(
                pk=key, defaults={**wanted, "args": None, "kwargs": None, "cluster": None}
            )
            # django-q2 goes by its host's clock: one that was ahead would silence a schedule for as long.
            soon = clock.now() + timedelta(minutes=2)
            Schedule.objects.filter(pk=key, next_run__gt=soon).update(next_run=clock.now())
