"""Deliver what is due on one connection, batch by batch.

The numbers are the steps of publishing exactly once (docs/architecture.md). Step 1 is the push. A process that is
killed between two steps, or is frozen and continues late, finds its temporary file or the proof that it was renamed: a
temporary name is used by one attempt only, and only the worker that committed STAGED may rename.
"""

import time
from collections.abc import Sequence
from operator import attrgetter
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet

from erp_connectors import circuit, leases
from erp_connectors.crashpoints import crashpoint
from erp_connectors.dropzone_paths import is_temporary
from erp_connectors.dropzones import dropzone_of
from erp_connectors.fault_records import english_cause
from erp_connectors.faults import CONNECTION_DISABLED, Fault, Scope
from erp_connectors.leases import Lease
from erp_connectors.models import ERPConnection, ERPExport, add_events
from erp_connectors.port_types import Move, Upload
from erp_connectors.registry import connector_for
from erp_connectors.services.connections.connection_test import require_usable
from erp_connectors.services.connections.credential_rollover import open_link
from erp_connectors.services.delivery import done_markers, temp_file_cleanup
from erp_connectors.services.delivery.already_published import already_published
from erp_connectors.services.delivery.context import Delivery, Failure, Rendered, split_outcomes
from erp_connectors.services.delivery.record_failures import fault_of, record_failures
from erp_connectors.services.delivery.render import archive_copies, read_again, render_orders
from erp_connectors.services.delivery.report import DeliveryReport
from erp_connectors.services.delivery.resolve_unknown import resolve_failed, resolve_predecessors
from erp_connectors.services.exports import transitions
from erp_connectors.services.exports.batching import by_size
from erp_connectors.services.exports.export_log import working_on
from erp_connectors.services.exports.order_snapshot import line_count
from erp_connectors.services.exports.paths import (
    destination,
    destination_moved,
    published_path,
    staying_at,
    temporary_path,
)
from erp_connectors.states import ConnectionStatus, ExportStatus, Stage
from orderflow import clock, tracing
from orderflow.messages import Message, several
from orderflow.row_updates import update_rows
from orderflow.transitions import LostRace

# The most order lines in memory together, unless one order has more.
MAX_LINES = 50_000
# A delivery needs none of these columns, and times are the slowest to read.
NOT_NEEDED = ("payload", "conflict_json", "updated_at", "sent_at", "answered_at", "staged_host_key")

FOUND_PUBLISHED = Message("event.found_published")

log = structlog.get_logger(__name__)


def deliver(connection_id: UUID) -> DeliveryReport:
    """Deliver everything due on a connection; ``busy`` if another worker has the lease. Never raise `Fault`."""
    report = DeliveryReport(connection_id)
    # 2. Take the lease. Each commit below proves it again, so a worker that lost it stops.
    lease = leases.take(connection_id, leases.DELIVERY)
    if lease is None:
        report.busy = True
        return report
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
    connection = ERPConnection.objects.select_related("org").get(pk=lease.row_id)
    report.held = _reason_to_wait(connection)
    due = 0 if report.held else _due(connection.pk)[: settings.DELIVERY_BATCH_SIZE].count()
    if not due:
        return False
    unchanged = ERPConnection.objects.filter(pk=connection.pk, updated_at=connection.updated_at)
    with working_on(connection):
        try:
            dropzone = dropzone_of(connection)
            with open_link(connection.pk, dropzone) as transport:
                transport.expect(due)
                transport.open()
                if connection.circuit_open:
                    # The circuit stays open until an order was sent: a test file may fit if an order does not.
                    require_usable(transport, dropzone)
                connector = connector_for(connection.connector_type)
                delivery = Delivery(lease, connection, connector, dropzone, transport)
                while _deliver_batch(delivery, report):
                    if not unchanged.exists():
                        return True
                if report.is_clean:
                    temp_file_cleanup.clean_up_if_due(delivery)
        except Exception as error:  # noqa: BLE001  # `fault_of` raises what is no fault of the connection
            fault = fault_of(error, scope=Scope.CONNECTION)
            _record_connection_fault(lease, connection, fault, report)
    return False


def _reason_to_wait(connection: ERPConnection) -> str:
    if connection.status != ConnectionStatus.ACTIVE:
        return CONNECTION_DISABLED.meaning
    if connection.retry_at and connection.retry_at > clock.now():
        reason = english_cause(connection.circuit_reason) or "the ERP could not be reached"
        return f"{reason} Next try at {connection.retry_at:%H:%M:%S} UTC."
    return ""


def _due(connection_id: UUID) -> QuerySet[ERPExport]:
    pending = ERPExport.objects.filter(connection_id=connection_id, status=ExportStatus.PENDING)
    is_time = Q(next_attempt_at=None) | Q(next_attempt_at__lte=clock.now())
    return pending.filter(is_time).order_by("created_at", "pk")


def _deliver_batch(delivery: Delivery, report: DeliveryReport) -> bool:
    """Claim a batch and deliver it. Return False if there is nothing more to do now."""
    exports = _claim(delivery.lease)
    sent_before, met_transient = report.sent, False
    for part in by_size(exports, attrgetter("line_count"), files=len(exports), most=MAX_LINES):
        sent, failures = _deliver_part(delivery, part)
        report.sent += sent
        if failures:
            recorded = record_failures(delivery.lease, delivery.connection, failures, others_sent=sent > 0)
            resolve_failed(delivery, recorded.failed)
            report.count(failures, recorded, others_sent=sent > 0)
        if report.held:
            return False
        met_transient |= any(failure.fault.transient and not failure.elsewhere for failure in failures)
    any_sent = report.sent > sent_before
    if not any_sent and met_transient:
        circuit.record_failure(delivery.connection, now=clock.now())
        return False
    # If none was sent, the probe has succeeded, and each failed for a reason of its own.
    if any_sent or (exports and delivery.connection.circuit_open):
        circuit.success(delivery.connection.pk, now=clock.now())
    return bool(exports)


def _claim(lease: Lease) -> list[ERPExport]:
    """Return the next exports. Their attempt and their lines are counted before anything is tried."""
    with transaction.atomic():
        leases.renew(lease)
        # Select by id: with `_due` itself, SQLite would count the lines of all waiting exports.
        due = ERPExport.objects.filter(pk__in=_due(lease.row_id)[: settings.DELIVERY_BATCH_SIZE].values("pk"))
        counted = due.annotate(line_count=line_count())  # type: ignore[no-redef]  # the attribute of the model
        exports = list(counted.order_by("created_at", "pk").defer(*NOT_NEEDED))
        ERPExport.objects.filter(pk__in=[export.pk for export in exports]).update(attempts=F("attempts") + 1)
    for export in exports:
        export.attempts += 1
    crashpoint("claimed")
    return exports


def _deliver_part(delivery: Delivery, exports: Sequence[ERPExport]) -> tuple[int, list[Failure]]:
    """Render, stage and publish exports. Return how many are published, and what failed.

    All in one trace: that of the push if there is one, else one of its own that each push's trace points to.
    """
    began, traces = time.monotonic(), {export.trace for export in exports}
    attributes = {"connection_id": str(delivery.connection.pk), "exports": len(exports)}
    try:
        with tracing.span("deliver", parents=sorted(traces), attributes=attributes):
            staged_before = [export for export in exports if export.staged_at]
            free, unresolved = resolve_predecessors(delivery, [one for one in exports if not one.staged_at])
            rendered, not_rendered = _render(delivery, free)
            staged, not_staged = _stage(delivery, rendered)
            sent, not_published = _publish(delivery, staged_before + staged)
            for export in exports if len(traces) > 1 else ():
                ids = {"export_id": str(export.pk)}
                tracing.note("delivered with others", parent=export.trace, since=began, attributes=ids)
            return sent, [*unresolved, *not_rendered, *not_staged, *not_published]
    except Fault:
        raise
    except Exception as error:  # noqa: BLE001  # `fault_of` raises what is no failed attempt
        fault = fault_of(error)
        pending = ERPExport.objects.filter(
            pk__in=[export.pk for export in exports], status=ExportStatus.PENDING
        )
        return 0, [Failure(export, fault, Stage.STAGE) for export in pending.defer("payload")]


def _render(delivery: Delivery, exports: Sequence[ERPExport]) -> tuple[list[Rendered], list[Failure]]:
    """3. Make each export's bytes once, archive them, and commit their SHA-256. Later attempts send the same bytes."""
    rendered_before = [export for export in exports if export.sha256]
    again, unreadable = read_again(delivery, rendered_before) if rendered_before else ([], [])
    fresh, refused = render_orders(delivery, [export for export in exports if not export.sha256])
    if fresh:
        # A worker that was frozen since its claim must not overwrite the copies of bytes that were sent.
        leases.renew(delivery.lease)
        archive_copies(fresh)
        crashpoint("archived-before-commit")
        made = [one.export for one in fresh]
        with transaction.atomic():
            leases.renew(delivery.lease)
            update_rows(made, "sha256", "size", "archived_at")
            # The row keeps the bytes while the archive is down.
            update_rows([export for export in made if export.archived_at is None], "payload")
            add_events(made, stage=Stage.RENDER, what="rendered", at=clock.now())
        crashpoint("rendered-committed")
    return again + fresh, unreadable + refused


def _stage(delivery: Delivery, rendered: Sequence[Rendered]) -> tuple[list[ERPExport], list[Failure]]:
    """Write the files completely, under temporary names; then commit where they are."""
    transport, dropzone = delivery.transport, delivery.dropzone
    here = destination(transport, dropzone)
    # 4. Write the temporary files; the server has confirmed their sizes.
    uploads = [Upload(temporary_path(dropzone, one.export), one.data, dropzone.file_mode) for one in rendered]
    with staying_at(transport, dropzone, here):
        outcomes = transport.stage(uploads)
    crashpoint("staged-before-commit")
    staged, failures = split_outcomes([one.export for one in rendered], outcomes, Stage.STAGE)
    temp_file_cleanup.remove_earlier_attempts(delivery, staged, [failure.export for failure in failures])
    now, server_key, remarks = clock.now(), transport.server_key(), several(transport.remarks())
    for export in staged:
        export.staged_at, export.staged_path = now, temporary_path(dropzone, export)
        export.staged_destination, export.staged_host_key = here, server_key
    try:
        if staged:
            # 5. Commit STAGED with the destination. Only the worker that commits it may rename.
            with transaction.atomic():
                leases.renew(delivery.lease)
                update_rows(staged, "staged_at", "staged_path", "staged_destination", "staged_host_key")
                add_events(staged, stage=Stage.STAGE, what="staged", message=remarks, at=now)
    except LostRace:
        # No other worker uses these names, and without the commit no worker may publish them.
        if dropzone.atomic_write:
            transport.remove([export.staged_path for export in staged])
        raise
    crashpoint("staged-committed")
    return staged, failures


def _publish(delivery: Delivery, staged: Sequence[ERPExport]) -> tuple[int, list[Failure]]:
    """Rename the files, then commit SENT. Return how many are sent, and what failed.

    Work only in the folder in which they were staged: an absence in another folder proves nothing.
    """
    transport, dropzone = delivery.transport, delivery.dropzone
    here = destination(transport, dropzone)
    elsewhere = [
        Failure(one, destination_moved(one), Stage.PUBLISH)
        for one in staged
        if one.staged_destination != here
    ]
    mine = [export for export in staged if export.staged_destination == here]
    # Written under its final name, if the server can't rename.
    published = [export for export in mine if not is_temporary(export.staged_path)]
    to_rename = [export for export in mine if is_temporary(export.staged_path)]
    with staying_at(transport, dropzone, here):
        transport.publish_until(delivery.lease.lasts_until)
        # 6. Rename; a file that an earlier worker renamed counts as published.
        outcomes = transport.publish(
            [Move(export.staged_path, published_path(dropzone, export)) for export in to_rename]
        )
        crashpoint("published-before-commit")
        renamed, failures = split_outcomes(to_rename, outcomes, Stage.PUBLISH)
        found, failures = already_published(delivery, failures) if failures else ([], [])
        published += [*renamed, *found]
        unmarked: list[Failure] = []
        if dropzone.done_marker:
            published, unmarked = done_markers.write_for(delivery, published)
    if published:
        # 7. Commit SENT. An export that an answer has moved on meanwhile stays as it is.
        by_us = [export for export in published if export not in found]
        by_earlier = [export for export in published if export in found]
        with transaction.atomic():
            leases.renew(delivery.lease)
            transitions.publish(by_us, folder=dropzone.export_path)
            transitions.publish(by_earlier, folder=dropzone.export_path, message=FOUND_PUBLISHED)
    crashpoint("sent-committed")
    return len(published), [*elsewhere, *failures, *unmarked]


def _record_connection_fault(
    lease: Lease, connection: ERPConnection, fault: Fault, report: DeliveryReport
) -> None:
    """Record a fault of no single export, such as a failed connect, as one failed attempt of each due export."""
    now, attempt = clock.now(), connection.failures_in_row + 1
    reason = fault.as_error(stage=Stage.CONNECT, attempt=attempt, at=now)
    if connection.circuit_open:
        circuit.open_circuit(connection, reason, now=now)
        report.held = fault.message
        return
    failures = [Failure(export, fault, Stage.CONNECT) for export in _claim(lease)]
    recorded = record_failures(lease, connection, failures)
    if fault.transient and attempt < settings.DELIVERY_MAX_ATTEMPTS:
        circuit.record_failure(connection, now=now)
    elif fault.transient:
        # No order fails by it, so only an open circuit notifies users of a server that is away for hours.
        circuit.open_circuit(connection, reason, now=now)
    report.count(failures, recorded)
    report.held = report.held or fault.message
