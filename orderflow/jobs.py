"""The only module that names django-q2. Rows are the truth; a task is a wake-up that may be lost or repeated."""

import structlog
from django.db import IntegrityError, transaction
from django_q.models import Schedule
from django_q.tasks import async_task

SCHEDULES = {
    "sweep": "erp_connectors.tasks.sweep",
    "poll acks": "erp_connectors.tasks.poll_due",
}

log = structlog.get_logger(__name__)


def wake(task: str, *args: str) -> None:
    """Ask a worker to run a task once this transaction is committed; the sweep finds what a lost wake-up missed."""
    transaction.on_commit(lambda: enqueue(task, *args))


def enqueue(task: str, *args: str) -> None:
    try:
        with transaction.atomic():
            async_task(task, *args)
    except Exception:  # a broker that is down must not fail what is already committed
        log.warning("wake.lost", task=task, args=args, exc_info=True)


def ensure_schedules() -> None:
    """One schedule of each kind, as `SCHEDULES` says; safe to run at any time, by many at once."""
    for name, task in SCHEDULES.items():
        wanted = {"func": task, "schedule_type": Schedule.MINUTES, "minutes": 1, "repeats": -1}
        with transaction.atomic():
            rows = list(Schedule.objects.select_for_update().filter(name=name).order_by("pk"))
            if rows:
                Schedule.objects.filter(pk__in=[row.pk for row in rows[1:]]).delete()
                Schedule.objects.filter(pk=rows[0].pk).update(**wanted)
            else:
                _create(name, wanted)


def _create(name: str, wanted: dict[str, object]) -> None:
    # The name is not unique in the table, so the row gets a fixed primary key instead.
    try:
        with transaction.atomic():
            Schedule.objects.create(pk=1 + list(SCHEDULES).index(name), name=name, **wanted)
    except IntegrityError:
        log.info("schedule.exists", name=name)
