"""Temporary files that killed or frozen workers, and interrupted connection tests, left in a dropzone: only our own,
and only what nobody needs any more.

What is judged here never changes again: a settled export stays settled, and an attempt that was superseded before it
was STAGED can never be. So it does no harm where this very worker freezes and wakes up late.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice

import structlog

from erp_connectors.dropzone_paths import is_old_probe, join, read_temporary
from erp_connectors.faults import Fault
from erp_connectors.models import ERPExport
from erp_connectors.services.delivery.context import Delivery
from erp_connectors.states import ExportStatus, FailedAs
from orderflow import clock

PAGE = 500
# The rest has its turn the next time: a server could name them without end.
MOST = 20_000

log = structlog.get_logger(__name__)


def sweep_if_due(delivery: Delivery) -> None:
    """After a lease was taken over, and with the first delivery of a day: look, which costs one listing."""
    if delivery.lease.took_over or _first_of_the_day(delivery.connection.last_success_at, clock.now()):
        try:
            removed = sweep(delivery)
        except Fault as fault:
            # It delays no order; the next occasion comes.
            log.warning(
                "leftovers.not_swept", connection_id=str(delivery.connection.pk), reason=fault.message
            )
        else:
            log.info("leftovers.swept", connection_id=str(delivery.connection.pk), files=removed)


def sweep(delivery: Delivery) -> int:
    """Remove what is left over in the export folder; returns how many files. Raises `Fault`."""
    folder = delivery.dropzone.export_path
    entries = (entry for entry in delivery.transport.list(folder) if entry.is_file)
    removed = 0
    # Listed to its end before anything is removed: a server need not list well what changes meanwhile.
    names = list(islice((entry.name for entry in entries if _is_temporary(entry.name)), MOST))
    probes = [join(folder, name) for name in names if is_old_probe(name, now=clock.now())]
    removed += delivery.transport.remove(probes).count(True)
    ours = iter([name for name in names if read_temporary(name)])
    while page := list(islice(ours, PAGE)):
        removed += delivery.transport.remove(list(_needless(delivery, folder, page))).count(True)
    return removed


def _is_temporary(name: str) -> bool:
    return read_temporary(name) is not None or is_old_probe(name, now=clock.now())


def _needless(delivery: Delivery, folder: str, names: Sequence[str]) -> Iterator[str]:
    files = {join(folder, name): found for name in names if (found := read_temporary(name))}
    exports = {
        export.filename: export
        for export in ERPExport.objects.for_org(delivery.connection.org_id)
        .filter(filename__in=[file.filename for file in files.values()])
        .defer("payload")
    }
    for path, file in files.items():
        export = exports.get(file.filename)
        if export and _is_needless(export, path, file.attempt):
            yield path


def _is_needless(export: ERPExport, path: str, attempt: int) -> bool:
    if export.status == ExportStatus.PENDING:
        return attempt < export.attempts and path != export.staged_path
    # While the outcome is unknown, the file's presence is what decides it.
    return export.failed_as != FailedAs.UNKNOWN


def _first_of_the_day(last_success: datetime | None, now: datetime) -> bool:
    # Nothing of ours can be left where nothing was ever delivered.
    return last_success is not None and last_success.date() < now.date()
