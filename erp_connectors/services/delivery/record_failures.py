"""Record the faults of a delivery for exports, orders and the connection, in one transaction."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction

from erp_connectors import circuit, counters, leases
from erp_connectors.faults import ARCHIVE_UNAVAILABLE, INTERNAL_ERROR, Fault, Scope
from erp_connectors.leases import Lease
from erp_connectors.models import ERPConnection, ERPExport, ERPExportEvent
from erp_connectors.services.delivery.context import Failure
from erp_connectors.services.exports import transitions
from erp_connectors.services.exports.export_log import log_each
from erp_connectors.states import ExportStatus, Stage
from orderflow import clock
from orderflow.database_faults import is_database_fault
from orderflow.row_updates import update_rows_where
from orderflow.transitions import LostRace

log = structlog.get_logger(__name__)


class FailureCounts(NamedTuple):
    """The exports that are FAILED now, and the ids of those that wait; an answer may have moved others meanwhile."""

    failed: list[ERPExport]
    waiting: set[UUID]


def fault_of(error: Exception, *, scope: Scope | None = None) -> Fault:
    """Return the fault to record for an error. Raise the error itself if it is no failed attempt of any order."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, LostRace) or is_database_fault(error):
        raise error
    log.error("delivery.internal_error", exc_info=error)
    return Fault(INTERNAL_ERROR, f"{type(error).__name__}.", scope=scope)


@transaction.atomic
def record_failures(
    lease: Lease, connection: ERPConnection, failures: Sequence[Failure], *, others_sent: bool = False
) -> FailureCounts:
    """Postpone, hold or fail each export. Raises `LostRace`.

    A fault of the connection ends no export. It opens the circuit, unless ``others_sent``: then the connection works,
    and those that met the fault are postponed.
    """
    leases.renew(lease)
    now = clock.now()
    counters.count_all(counters.Name.FAULTS, Counter(failure.fault.code for failure in failures))
    held = [failure for failure in failures if _is_of_the_connection(failure)]
    broken = None if others_sent else next((failure for failure in held if _breaks(failure)), None)
    tried_again, final = _count_tries(failures)
    waiting = _postpone(tried_again, now)
    unreachable = any(failure.stage is Stage.CONNECT for failure in held)
    waiting |= _hold(held, now, wait_for_connection=unreachable or broken is not None)
    failed = transitions.fail([(one.export, one.fault, one.stage) for one in final], now=now)
    if broken:
        reason = broken.fault.as_error(stage=broken.stage, attempt=broken.export.attempts, at=now)
        circuit.open_circuit(connection, reason, now=now)
    return FailureCounts(failed, waiting)


def _is_of_the_connection(failure: Failure) -> bool:
    """Return True if the connection is the cause, or if the server or the archive can't be reached."""
    fault = failure.fault
    return (
        fault.scope is Scope.CONNECTION or fault.kind is ARCHIVE_UNAVAILABLE or failure.stage is Stage.CONNECT
    )


def _breaks(failure: Failure) -> bool:
    return failure.fault.scope is Scope.CONNECTION and not failure.elsewhere


def _count_tries(failures: Sequence[Failure]) -> tuple[list[Failure], list[Failure]]:
    """Count the faults of the orders themselves; return those that are tried again, and those that are not."""
    tried_again: list[Failure] = []
    final: list[Failure] = []
    for failure in failures:
        if _is_of_the_connection(failure):
            continue
        if failure.fault.scope is Scope.TRANSIENT:
            failure.export.failed_tries += 1
            last = failure.export.failed_tries >= settings.DELIVERY_MAX_ATTEMPTS
            (final if last else tried_again).append(failure)
        else:
            final.append(failure)
    return tried_again, final


def _postpone(failures: Sequence[Failure], now: datetime) -> set[UUID]:
    for failure in failures:
        failure.export.next_attempt_at = now + circuit.delivery_pause(failure.export.failed_tries)
        failure.export.error_json = _error(failure, now)
    waiting = _update_pending(failures, "next_attempt_at", "error_json", "failed_tries")
    _add_events([one for one in failures if one.export.pk in waiting], "postponed", now)
    return waiting


def _hold(failures: Sequence[Failure], now: datetime, *, wait_for_connection: bool) -> set[UUID]:
    # A connection is tried again and again: its fault is one event of each export.
    changed = [one for one in failures if (one.export.error_json or {}).get("code") != one.fault.code]
    for failure in failures:
        waits = None if wait_for_connection else now + circuit.delivery_pause(failure.export.attempts)
        failure.export.next_attempt_at = waits
        failure.export.error_json = _error(failure, now)
    waiting = _update_pending(failures, "next_attempt_at", "error_json")
    _add_events([one for one in changed if one.export.pk in waiting], "held", now)
    return waiting


def _update_pending(failures: Sequence[Failure], *names: str) -> set[UUID]:
    """Write these fields of exports that still are PENDING. Return their ids; an answer may have moved others."""
    exports = [failure.export for failure in failures]
    written = update_rows_where(exports, *names, same={}, where={"status": ExportStatus.PENDING})
    return {export.pk for export in written}


def _add_events(failures: Sequence[Failure], what: str, now: datetime) -> None:
    ERPExportEvent.objects.bulk_create(
        ERPExportEvent(
            export=failure.export,
            at=now,
            stage=failure.stage,
            attempt=failure.export.attempts,
            what=what,
            message=failure.fault.as_message(),
        )
        for failure in failures
    )
    log_each(
        f"export.{what}",
        [(one.export, one.fault.as_log(stage=one.stage, attempt=one.export.attempts)) for one in failures],
    )


def _error(failure: Failure, now: datetime) -> dict[str, object]:
    return failure.fault.as_error(stage=failure.stage, attempt=failure.export.attempts, at=now)
