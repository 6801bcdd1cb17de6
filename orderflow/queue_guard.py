"""Keep rows of the queue's tables from running code: a database role that may write them must not gain a shell.

django-q2 runs any function that a row names, calls the hook of a result, and unpickles results and arguments without a
signature. This module restricts its workers to a fixed list of functions and its scheduler to the schedules of
`orderflow.jobs`; results are neither stored nor read. django-q2 itself signs the payloads in django_q_ormq with
SECRET_KEY.

This replaces three names inside django-q2, whose version is pinned: `install` fails if one is gone after an upgrade.
"""

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import structlog
from django.db import DatabaseError
from django.db.models import Q
from django.utils.module_loading import import_string
from django_q import cluster, monitor, scheduler, worker
from django_q.models import Schedule, Task

log = structlog.get_logger(__name__)


def install(tasks: Iterable[str], schedules: Iterable[str]) -> None:
    """Restrict django-q2 in this process and its children to these functions."""
    allowed, scheduled = frozenset(tasks), frozenset(schedules)
    for module, name in ((worker, "pydoc"), (monitor, "save_task"), (cluster, "scheduler")):
        if not hasattr(module, name):
            raise RuntimeError(
                f"{module.__name__}.{name} is gone: adapt orderflow.queue_guard to this django-q2"
            )
    worker.pydoc = SimpleNamespace(locate=lambda name: _find(name, allowed))
    monitor.save_task = _drop_result
    cluster.scheduler = lambda broker=None: _schedule(broker, scheduled)
    for pickled in ("args", "kwargs", "result"):
        Task._meta.get_field(pickled).from_db_value = _unread


def _find(name: Any, allowed: frozenset[str]) -> "Callable[..., Any] | None":
    """Return the function; None, before anything is imported, if it is not on the list: django-q2 fails the task."""
    if name not in allowed:
        log.error("task.refused", task=str(name)[:200])
        return None
    found: Callable[..., Any] = import_string(name)
    return found


def _drop_result(task: dict[str, Any], broker: Any = None) -> None:
    """Store nothing: neither results nor chained tasks nor hooks. Our own rows record the outcome of the work."""


def _unread(*column: Any) -> None:
    """Return None instead of unpickling a column."""


def _schedule(broker: Any, allowed: frozenset[str]) -> None:
    """Remove rows that this program did not write, then let django-q2 schedule the rest."""
    try:
        _remove_foreign_rows(allowed)
    except DatabaseError:
        # Schedule nothing while such rows may exist. The supervisor's own ticks go on.
        log.exception("schedule.not_checked")
        return
    scheduler.scheduler(broker)


def _remove_foreign_rows(allowed: frozenset[str]) -> None:
    plain = Q(func__in=allowed, schedule_type=Schedule.MINUTES)
    for column in ("args", "kwargs", "hook", "cluster", "intended_date_kwarg"):
        plain &= Q(**{f"{column}__isnull": True})
    foreign = dict(Schedule.objects.exclude(plain).values_list("pk", "func")[:1000])
    for key, name in foreign.items():
        log.error("schedule.refused", schedule=key, task=name[:200])
    if foreign:
        Schedule.objects.filter(pk__in=foreign).delete()
    stored = list(Task.objects.values_list("pk", flat=True)[:1000])  # the pickled columns are not read
    if stored:
        log.error("task_results.refused", rows=len(stored))
        Task.objects.filter(pk__in=stored).delete()
