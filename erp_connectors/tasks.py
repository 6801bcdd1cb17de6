"""What workers run. Only ids come in, a short text goes out, and nothing escapes: rows decide what happens next."""

from collections.abc import Callable
from functools import partial
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
from orderflow.tenancy import scope

DELIVER = "erp_connectors.tasks.deliver"
POLL = "erp_connectors.tasks.poll"
POLL_IF_DUE = "erp_connectors.tasks.poll_if_due"
NOTIFY = "erp_connectors.tasks.notify"

log = structlog.get_logger(__name__)


def deliver(connection_id: str, request_id: str = "") -> str:
    """``request_id``: of the request that woke it, for the log; the exports of other requests go along."""
    return _edge("deliver", lambda: "; ".join(delivery.deliver(UUID(connection_id)).lines()), request_id)


def poll(connection_id: str, request_id: str = "") -> str:
    return _edge("poll", lambda: _poll(connection_id), request_id)


def poll_if_due(connection_id: str) -> str:
    """A connection that is due is woken again and again until it is polled: the later wake-ups do nothing."""
    is_due = partial(due.poll_is_due, UUID(connection_id))
    return _edge("poll", lambda: _poll(connection_id) if is_due(clock.now()) else f"{connection_id}: not due")


def carry_out(run_id: str, request_id: str = "") -> str:
    return _edge("carry_out", lambda: f"{runs.carry_out(UUID(run_id))} rows settled", request_id)


def notify(subscription_id: str, request_id: str = "") -> str:
    return _edge("notify", lambda: f"{sending.send(UUID(subscription_id))} sent", request_id)


def prune(run_id: str) -> str:
    return _edge("prune", lambda: _prune(UUID(run_id)))


def sweep() -> str:
    """Wake deliveries that are due, bring late copies into the archive, notice late answers."""
    return _edge("sweep", _sweep)


def poll_due() -> str:
    """One task for each connection whose turn it is, so that none waits for another."""
    return _edge("poll_due", _poll_due)


def _sweep() -> str:
    woken = due.due_deliveries(clock.now())
    for connection_id in woken:
        jobs.enqueue(DELIVER, str(connection_id))
    for run_id in runs.due(clock.now()):
        jobs.enqueue(runs.TASK, str(run_id))
    for run_id in retention.due(clock.now()):
        jobs.enqueue(retention.TASK, str(run_id))
    runs.forget_old(clock.now())
    counters.compact()
    late = deadlines.notice(clock.now())
    return (
        f"{len(woken)} deliveries woken, {due.archive_backlog()} copies archived late, "
        f"{late} exports overdue, {forget_old()} old Idempotency-Keys forgotten, {_notify()}"
    )


def _notify() -> str:
    """One task for each receiver, so that none waits for another."""
    made = digests.gather(clock.now())
    woken = sending.due(clock.now())
    for subscription_id in woken:
        jobs.enqueue(NOTIFY, str(subscription_id))
    sending.forget_old(clock.now())
    return f"{made} notifications made, {len(woken)} receivers woken"


def _prune(run_id: UUID) -> str:
    worked = retention.work(run_id, seconds=retention.SLICE_SECONDS)
    if worked.more:
        jobs.enqueue(retention.TASK, str(run_id))
    return f"{worked.removed} contents removed"


def _poll(connection_id: str) -> str:
    report = ack_folder.poll(UUID(connection_id), seconds=settings.ACK_POLL_SECONDS)
    if report.more:
        # At the end of the queue: the other connections have their turn first.
        jobs.enqueue(POLL, connection_id)
    return "; ".join(report.lines())


def _poll_due() -> str:
    woken = due.due_polls(clock.now())
    for connection_id in woken:
        jobs.enqueue(POLL_IF_DUE, str(connection_id))
    return f"{len(woken)} polls woken"


def _edge(name: str, body: Callable[[], str], request_id: str = "") -> str:
    origin = {"request_id": request_id} if request_id else {}
    with scope.everything(), alive(), structlog.contextvars.bound_contextvars(task=name, **origin):
        try:
            return body()
        except Exception as error:  # the queue would run it again side by side; the sweep does it in order
            log.exception("task.failed")
            # The queue keeps it in clear, and the text may hold anything; the log has the trace.
            return f"failed: {type(error).__name__}"
