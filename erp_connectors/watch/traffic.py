"""Checks of connections, and of exports that make no progress, for `doctor`."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django.db.models import Count, Exists, Min, OuterRef, Q

from erp_connectors import leases
from erp_connectors.dropzones import dropzone_of
from erp_connectors.faults import Fault
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.services.acks.misnamed import first_names, misnamed_of
from erp_connectors.services.connections.connection_test import probe_steps
from erp_connectors.services.exports.deadlines import HINT, MEANING
from erp_connectors.services.status.attention_queries import doubtful
from erp_connectors.services.status.connection_health import Health, State, health_of_all
from erp_connectors.services.upkeep import gauges
from erp_connectors.states import ConnectionStatus, ExportStatus, FailedAs
from erp_connectors.watch.check_results import CheckResult, error, ok, some, warning
from orderflow import clock
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus

STUCK = timedelta(minutes=10)
ARCHIVE_LATE = timedelta(minutes=15)
NOTHING_GOES_OUT = {State.HOST_KEY_CHANGED, State.UNREADABLE, State.NO_HOST_KEY, State.HELD}
OPEN_IT = "Open the connection in the admin and test it."


def connections() -> Iterator[CheckResult]:
    found = health_of_all()
    for one in found:
        if one.state not in (State.OK, State.UNTESTED):
            make = error if one.state in NOTHING_GOES_OUT else warning
            yield make(f"{_name(one)}: {_describe(one)}", (one.problem and one.problem.hint) or OPEN_IT)
        elif one.state is State.UNTESTED:
            yield warning(f"{_name(one)} was never tested.", OPEN_IT)
    yield from _misnamed(found)
    if not found:
        yield warning("There is no active connection: orders can't be pushed.", "Add one in the admin.")
    else:
        yield ok(f"{sum(one.state is State.OK for one in found)} of {len(found)} work")


def exports() -> Iterator[CheckResult]:
    now = clock.now()
    yield from _not_moving(now)
    yield from _without_export()
    yield from _for_a_person()
    backlog = gauges.archive_backlog()
    if backlog.oldest and now - backlog.oldest > ARCHIVE_LATE:
        yield warning(
            f"{backlog.count} copies are not in the archive yet, the oldest since {_at(backlog.oldest)}.",
            "See what the check of the storage says; the sweep archives them once it works.",
        )
    waiting = ERPExport.objects.filter(status=ExportStatus.PENDING).count()
    yield ok(f"{some(waiting, 'waits', 'wait')} to be sent")


def reachability(connection: ERPConnection) -> list[CheckResult]:
    """Test the dropzone as the admin does, without a record: write and remove a test file."""
    name = f"{connection.org.slug} {str(connection.pk)[:8]}"
    try:
        steps = list(probe_steps(dropzone_of(connection)))
    except Fault as fault:
        return [error(f"{name}: {fault.message}", fault.kind.hint)]
    failed = next((step for step in steps if step.fault), None)
    if failed and failed.fault:
        return [error(f"{name}: {failed.label}: {failed.fault.message}", failed.fault.kind.hint)]
    return [ok(f"{name}: {len(steps)} steps in {sum(step.duration_ms for step in steps)} ms")]


def _misnamed(found: Sequence[Health]) -> Iterator[CheckResult]:
    for one in found:
        misnamed = misnamed_of(one.connection)
        if misnamed.count and one.connection.status == ConnectionStatus.ACTIVE:
            yield warning(
                f"{_name(one)}: {misnamed.amount} files in the ack folder are not read because of their names: "
                f"{first_names(misnamed.files)}.",
                "Have the ERP team rename them and use that form of name from now on.",
            )


def _not_moving(now: datetime) -> Iterator[CheckResult]:
    """Yield an error for each connection that nothing holds back and whose exports are due for a while.

    While a worker has the lease, a long queue is normal: after an outage all that waited is due at once.
    """
    free = Q(connection__status=ConnectionStatus.ACTIVE, connection__circuit_opened_at=None) & (
        Q(connection__retry_at=None) | Q(connection__retry_at__lt=now - STUCK)
    )
    free &= leases.DELIVERY.free(now, path="connection__")
    due = Q(created_at__lt=now - STUCK) & (Q(next_attempt_at=None) | Q(next_attempt_at__lt=now - STUCK))
    rows = ERPExport.objects.filter(free, due, status=ExportStatus.PENDING).order_by()
    for pk, org, count, since in rows.values_list("connection", "connection__org__slug").annotate(
        Count("pk"), Min("created_at")
    ):
        yield error(
            f"{org} {str(pk)[:8]}: {some(count, 'export waits', 'exports wait')} since {_at(since)},"
            " and nothing holds them back.",
            f"See what the check of the workers says; then: manage.py deliver --connection {pk}",
        )


def _without_export() -> Iterator[CheckResult]:
    pending = ERPExport.objects.filter(draft_order=OuterRef("pk"), status=ExportStatus.PENDING)
    lost = DraftOrder.objects.filter(~Exists(pending), status=DraftStatus.PUSHING).order_by("created_at")
    count = lost.count()
    if count:
        example = lost.values_list("pk", flat=True)[0]
        yield error(
            f"{some(count, 'order is', 'orders are')} PUSHING without an export, such as {example}.",
            "This must not happen: keep the log and the database as they are, and report it.",
        )


def _for_a_person() -> Iterator[CheckResult]:
    unknown = ERPExport.objects.filter(
        failed_as=FailedAs.UNKNOWN, draft_order__status=DraftStatus.ERROR
    ).count()
    if unknown:
        yield warning(
            f"{some(unknown, 'export', 'exports')} failed, and nobody knows whether the ERP has the order.",
            "Retry their orders: that looks first, and sends nothing twice.",
        )
    in_error = gauges.orders_in_error()
    if in_error:
        yield warning(
            f"{some(in_error, 'order is', 'orders are')} in ERROR.",
            "The admin's front page says why, and what to do.",
        )
    numbers = doubtful(DraftOrder.objects.all(), now=clock.now()).count()
    if numbers:
        yield warning(
            f"{some(numbers, 'order has', 'orders have')} an ERP number that other orders have, too, "
            "or a placeholder.",
            "Ask the ERP team for the real numbers; the orders' pages say which.",
        )
    late = ERPExport.objects.overdue().count()
    if late:
        yield warning(f"{some(late, 'export', 'exports')}: {MEANING}", HINT)


def _name(one: Health) -> str:
    return f"{one.connection.org.slug} {str(one.connection.pk)[:8]}"


def _describe(one: Health) -> str:
    cause = one.problem.cause if one.problem else "The ERP could not be reached last time; it is tried again."
    since = f" Since {_at(one.since)}." if one.since else ""
    waiting = f" {some(one.waiting, 'export waits', 'exports wait')}." if one.waiting else ""
    return f"{cause}{since}{waiting}"


def _at(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC"
