"""The only module that names django-q2. Rows are the truth; a task is a wake-up that may be lost or repeated."""

import structlog
from django.db import transaction
from django_q.brokers import get_broker
from django_q.models import Schedule
from django_q.tasks import async_task

from orderflow.audit.context import current

SCHEDULES = {
    "sweep": "erp_connectors.tasks.sweep",
    "poll acks": "erp_connectors.tasks.poll_due",
}
# Fixed keys: the table does not keep names unique, its primary key is what two creators at once collide on.
FIRST_KEY = 1_000_000

log = structlog.get_logger(__name__)


def wake(task: str, *args: str) -> None:
    """Ask a worker to run a task once this transaction is committed; the sweep finds what a lost wake-up missed."""
    transaction.on_commit(lambda: enqueue(task, *args))


def enqueue(task: str, *args: str, keep_result: bool = True) -> bool:
    """Ask a worker to run a task; False, and a log line, where the broker is down.

    The task gets the id of the request that asks, for its log lines.
    """
    request_id = current.get().request_id
    origin = {"request_id": request_id} if request_id else {}
    try:
        with transaction.atomic():
            async_task(task, *args, save=keep_result, **origin)
    except Exception:  # a broker that is down must not fail what is already committed
        log.warning("wake.lost", task=task, args=args, exc_info=True)
        return False
    return True


def waiting() -> int:
    """How many tasks no worker has taken yet."""
    size: int = get_broker().queue_size()
    return size


def ensure_schedules() -> None:
    """One schedule of each kind, as `SCHEDULES` says; safe to run at any time, by many at once."""
    for key, (name, task) in enumerate(SCHEDULES.items(), start=FIRST_KEY):
        wanted = {"name": name, "func": task, "schedule_type": Schedule.MINUTES, "minutes": 1, "repeats": -1}
        with transaction.atomic():
            Schedule.objects.filter(name=name).exclude(pk=key).delete()
            Schedule.objects.update_or_create(
                pk=key, defaults={**wanted, "args": None, "kwargs": None, "cluster": None}
            )
