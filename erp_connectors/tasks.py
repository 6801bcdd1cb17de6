"""The functions that workers run. They take ids, return a short text, and raise nothing: rows are the truth."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings

from erp_connectors import counters
from erp_connectors.bulk import runs
from erp_connectors.notifications import digests, sending
from erp_connectors.retention import runs as retention
from erp_connectors.services.acks import poll as ack_folder
from erp_connectors.services.delivery import deliver as delivery
from erp_connectors.services.exports import deadlines
from erp_connectors.services.upkeep import sweep as due
from orderflow import clock, jobs
from orderflow.heartbeat.tasks import alive
from orderflow.idempotency.services import forget_old
from orderflow.jobs import Task
from orderflow.tenancy import scope

log = structlog.get_logger(__name__)


def _task(body: Callable[..., str]) -> Callable[..., str]:
    """Run a task with the rights of the system and a heartbeat, log an error, and return a text in any case.

    ``request_id``: of the request that woke the task, for the log. A delivery also sends exports of other requests.
    """

    @wraps(body)
    def run(*args: Any, request_id: str = "") -> str:
        origin = {"request_id": request_id} if request_id else {}
        with (
            scope.everything(),
            alive(),
            structlog.contextvars.bound_contextvars(task=body.__name__, **origin),
        ):
            try:
                return body(*args)
            except Exception as error:
                # The queue would repeat it at once, in parallel; the sweep repeats it when it is due.
                log.exception("task.failed")
                # The queue stores the text unencrypted, so it must not hold the message of the exception.
                return f"failed: {type(error).__name__}"

    return run


@_task
def deliver(connection_id: str) -> str:
    return "; ".join(delivery.deliver(UUID(connection_id)).lines())


@_task
def poll(connection_id: str) -> str:
    return _poll(connection_id)


@_task
def poll_if_due(connection_id: str) -> str:
    """Poll a connection if it is still due: a due connection may be woken several times before it is polled."""
    is_due = due.poll_is_due(UUID(connection_id), clock.now())
    return _poll(connection_id) if is_due else f"{connection_id}: not due"


@_task
def execute_run(run_id: str) -> str:
    return f"{runs.execute(UUID(run_id))} rows done"


@_task
def notify(subscription_id: str) -> str:
    return f"{sending.send(UUID(subscription_id))} sent"


@_task
def prune(run_id: str) -> str:
    worked = retention.work(UUID(run_id), seconds=retention.SLICE_SECONDS)
    if worked.more:
        jobs.enqueue(Task.PRUNE, run_id)
    return f"{worked.removed} contents removed"


@_task
def sweep() -> str:
    """Wake deliveries that are due, archive copies that are still missing, mark overdue exports."""
    woken = due.due_deliveries(clock.now())
    for connection_id in woken:
        jobs.enqueue(Task.DELIVER, str(connection_id))
    for run_id in runs.due(clock.now()):
        jobs.enqueue(Task.EXECUTE_RUN, str(run_id))
    for run_id in retention.due(clock.now()):
        jobs.enqueue(Task.PRUNE, str(run_id))
    runs.forget_old(clock.now())
    counters.compact()
    late = deadlines.mark_overdue(clock.now())
    return (
        f"{len(woken)} deliveries woken, {due.archive_backlog()} copies archived late, "
        f"{late} exports overdue, {forget_old()} old Idempotency-Keys forgotten, {_notify()}"
    )


@_task
def poll_due() -> str:
    """Enqueue a task for each connection that is due, so that none waits for another."""
    woken = due.due_polls(clock.now())
    for connection_id in woken:
        jobs.enqueue(Task.POLL_IF_DUE, str(connection_id))
    return f"{len(woken)} polls woken"


def _notify() -> str:
    """Enqueue a task for each receiver that is due, so that none waits for another."""
    made = digests.gather(clock.now())
    woken = sending.due(clock.now())
    for subscription_id in woken:
        jobs.enqueue(Task.NOTIFY, str(subscription_id))
    sending.forget_old(clock.now())
    return f"{made} notifications made, {len(woken)} receivers woken"


def _poll(connection_id: str) -> str:
    report = ack_folder.poll(UUID(connection_id), seconds=settings.ACK_POLL_SECONDS)
    if report.more:
        # At the end of the queue: the other connections have their turn first.
        jobs.enqueue(Task.POLL, connection_id)
    return "; ".join(report.lines())
