"""Deliver what is due on one connection: claim, render, stage, commit, publish, commit; batch by batch."""

import time
from collections.abc import Iterator, Sequence
from uuid import UUID

import msgspec
import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from erp_connectors import circuit, leases
from erp_connectors.crashpoints import crashpoint
from erp_connectors.dropzones import dropzone_of
from erp_connectors.faults import CONNECTION_DISABLED, INTERNAL_ERROR, Fault, Scope
from erp_connectors.leases import Lease, Purpose
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.registry import connector_for
from erp_connectors.services.connections import connection_test
from erp_connectors.services.connections.credential_rollover import link
from erp_connectors.services.delivery import resolve_unknown, temp_file_cleanup
from erp_connectors.services.delivery.context import Delivery, Failure
from erp_connectors.services.delivery.publish import publish
from erp_connectors.services.delivery.record_failures import Recorded, record_failures
from erp_connectors.services.delivery.render import render
from erp_connectors.services.delivery.stage import stage
from erp_connectors.services.exports.export_log import working_on
from erp_connectors.services.exports.order_snapshot import count_lines
from erp_connectors.states import ConnectionStatus, ExportStatus, Stage
from orderflow import clock, tracing
from orderflow.database_faults import is_database_fault
from orderflow.transitions import LostRace

MAX_LINES_TOGETHER = 50_000
# Times cost more to read than all else in a row, and a delivery asks for none of these.
NOT_NEEDED = (
    "payload", "conflict_json", "updated_at", "sent_at", "answered_at", "staged_host_key"
)  # fmt: skip

log = structlog.get_logger(__name__)


class DeliveryReport(msgspec.Struct):
    """The result of one `deliver`, in numbers of exports."""

    connection_id: UUID
    sent: int = 0
    failed: int = 0
    postponed: int = 0
    held: str = ""
    busy: bool = False

    def count(self, failures: Sequence[Failure], recorded: Recorded, *, others_sent: bool = False) -> None:
        self.failed += len(recorded.failed)
        for failure in failures:
            if failure.fault.scope is Scope.CONNECTION and not (others_sent or failure.elsewhere):
                self.held = self.held or failure.fault.message
            elif failure.export.pk in recorded.waiting:
                self.postponed += 1

    @property
    def trouble(self) -> bool:
        return bool(self.failed or self.postponed or self.held)

    def lines(self) -> list[str]:
        if self.busy:
            return [f"{self.connection_id}: another worker is delivering"]
        done = f"{self.connection_id}: {self.sent} sent, {self.failed} failed, {self.postponed} to be tried again"
        return [done, f"  held: {self.held}"] if self.held else [done]


def deliver(connection_id: UUID) -> DeliveryReport:
    """Deliver everything due on a connection; ``busy`` if another worker has the lease. Never raise `Fault`."""
    lease = leases.take(connection_id, Purpose.DELIVERY)
    if lease is None:
        return DeliveryReport(connection_id, busy=True)
    report = DeliveryReport(connection_id)
    try:
        with leases.kept(lease):
            while _deliver_as_configured(lease, report):
                pass
    except LostRace as lost:
        log.warning("delivery.lease_lost", connection_id=str(connection_id), reason=str(lost))
        report.busy = True
    return report


def _deliver_as_configured(lease: Lease, report: DeliveryReport) -> bool:
    """Deliver batch after batch. Return True if the connection was changed meanwhile and has to be read again."""
    connection = ERPConnection.objects.select_related("org").get(pk=lease.connection_id)
    report.held = _why_held(connection)
    due = _due(connection.pk)[: settings.DELIVERY_BATCH_SIZE].count()
    if report.held or not due:
        return False
    unchanged = ERPConnection.objects.filter(pk=connection.pk, updated_at=connection.updated_at)
    with working_on(connection):
        try:
            dropzone = dropzone_of(connection)
            with link(connection.pk, dropzone) as transport:
                transport.expect(due)
                transport.open()
                if connection.circuit_open:
                    # The circuit stays open until an order has passed: a test file may fit where an order does not.
                    connection_test.require_usable(transport, dropzone)
                connector = connector_for(connection.connector_type)
                delivery = Delivery(lease, connection, connector, dropzone, transport)
                while _deliver_batch(delivery, report):
                    if not unchanged.exists():
                        return True
                if not report.trouble:
                    temp_file_cleanup.sweep_if_due(delivery)
        except Fault as fault:
            _record_failed_connect(lease, connection, fault, report)
    return False


def _why_held(connection: ERPConnection) -> str:
    now = clock.now()
    if connection.status != ConnectionStatus.ACTIVE:
        return CONNECTION_DISABLED.meaning
    if connection.retry_at and connection.retry_at > now:
        why = (connection.circuit_reason or {}).get("message") or "the ERP could not be reached"
        return f"{why} Next try at {connection.retry_at:%H:%M:%S} UTC."
    return ""


def _due(connection_id: UUID):  # type: ignore[no-untyped-def]
    now = clock.now()
    pending = ERPExport.objects.filter(connection_id=connection_id, status=ExportStatus.PENDING)
    return pending.filter(Q(next_attempt_at=None) | Q(next_attempt_at__lte=now)).order_by("created_at", "pk")


def _claim(lease: Lease) -> list[ERPExport]:
    """Return the next exports; count their attempt and their lines before anything is tried."""
    with transaction.atomic():
        leases.renew(lease)
        due = list(_due(lease.connection_id).defer(*NOT_NEEDED)[: settings.DELIVERY_BATCH_SIZE])
        ERPExport.objects.filter(pk__in=[export.pk for export in due]).update(attempts=F("attempts") + 1)
        # Counted in a statement of its own: as part of the claim, SQLite would count for all that wait.
        line_counts = count_lines([export.draft_order_id for export in due])
    for export in due:
        export.attempts += 1
        export.line_count = line_counts.get(export.draft_order_id, 0)
    crashpoint("claimed")
    return due


def _deliver_batch(delivery: Delivery, report: DeliveryReport) -> bool:
    """Claim a batch and deliver it. Return False if there is nothing more to do now."""
    exports = _claim(delivery.lease)
    before, slowed = report.sent, False
    for load in _loads(exports):
        sent, failures = _deliver_load(delivery, load)
        report.sent += sent
        if failures:
            recorded = record_failures(delivery.lease, delivery.connection, failures, others_sent=sent > 0)
            resolve_unknown.settle_failed(delivery, recorded.failed)
            report.count(failures, recorded, others_sent=sent > 0)
        if report.held:
            return False
        slowed |= any(failure.fault.transient and not failure.elsewhere for failure in failures)
    if report.sent > before:
        circuit.success(delivery.connection.pk, now=clock.now())
    elif slowed:
        circuit.trouble(delivery.connection, now=clock.now())
    elif exports and delivery.connection.circuit_open:
        # The probe has succeeded, and what failed failed for reasons of its own.
        circuit.success(delivery.connection.pk, now=clock.now())
    return bool(exports) and not (slowed and report.sent == before)


def _loads(exports: Sequence[ERPExport]) -> Iterator[list[ERPExport]]:
    """Split a batch so that at most `MAX_LINES_TOGETHER` order lines are in memory, or one order."""
    load: list[ERPExport] = []
    lines = 0
    for export in exports:
        if load and lines + export.line_count > MAX_LINES_TOGETHER:
            yield load
            load, lines = [], 0
        load.append(export)
        lines += export.line_count
    if load:
        yield load


def _deliver_load(delivery: Delivery, exports: Sequence[ERPExport]) -> tuple[int, list[Failure]]:
    """Render, stage and publish exports. Return how many are published, and what failed.

    All in one trace: that of the push if there is one, else one of its own that each push's trace points to.
    """
    began, traces = time.monotonic(), {export.trace for export in exports}
    attributes = {"connection_id": str(delivery.connection.pk), "exports": len(exports)}
    try:
        with tracing.span("deliver", parents=sorted(traces), attributes=attributes):
            staged = [export for export in exports if export.staged_at]
            fresh = [export for export in exports if not export.staged_at]
            fresh, unsettled = resolve_unknown.settle_predecessors(delivery, fresh)
            items, not_rendered = render(delivery, fresh)
            newly_staged, not_staged = stage(delivery, items)
            published, not_published = publish(delivery, staged + newly_staged)
            for export in exports if len(traces) > 1 else ():
                ids = {"export_id": str(export.pk)}
                tracing.note("delivered with others", parent=export.trace, since=began, attributes=ids)
            return len(published), [*unsettled, *not_rendered, *not_staged, *not_published]
    except (LostRace, Fault):
        raise
    except Exception as error:
        if is_database_fault(error):
            raise
        log.exception("delivery.internal_error", connection_id=str(delivery.connection.pk))
        fault = Fault(INTERNAL_ERROR, f"{type(error).__name__}.")
        pending = ERPExport.objects.filter(
            pk__in=[export.pk for export in exports], status=ExportStatus.PENDING
        )
        return 0, [Failure(export, fault, Stage.STAGE) for export in pending.defer("payload")]


def _record_failed_connect(
    lease: Lease, connection: ERPConnection, fault: Fault, report: DeliveryReport
) -> None:
    """Record one failed attempt for every due export after a fault of no single one, such as a failed connect."""
    now, attempt = clock.now(), connection.failures_in_row + 1
    reason = fault.as_error(stage=Stage.CONNECT, attempt=attempt, at=now)
    if connection.circuit_open:
        circuit.open_circuit(connection, reason, now=now)
        report.held = fault.message
        return
    failures = [Failure(export, fault, Stage.CONNECT) for export in _claim(lease)]
    recorded = record_failures(lease, connection, failures)
    if fault.transient and attempt < settings.DELIVERY_MAX_ATTEMPTS:
        circuit.trouble(connection, now=now)
    elif fault.transient:
        # No order fails by it, so only an open circuit notifies users of a server that is away for hours.
        circuit.open_circuit(connection, reason, now=now)
    report.count(failures, recorded)
    report.held = report.held or fault.message
