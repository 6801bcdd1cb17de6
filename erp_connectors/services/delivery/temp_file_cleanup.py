"""Remove temporary files that killed or frozen workers, and interrupted connection tests, left in a dropzone.

Only our own files are removed, and only those that no worker needs any more. That never changes again: an export that
was sent or failed stays so, and an attempt that was superseded before it was STAGED can never be STAGED. So it does no
harm if this worker freezes and continues late.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

import structlog

from erp_connectors.dropzone_paths import is_old_probe, join, read_temporary, temporary
from erp_connectors.faults import Fault
from erp_connectors.models import ERPExport
from erp_connectors.services.delivery.context import Delivery
from erp_connectors.services.exports.paths import published_path
from erp_connectors.states import ExportStatus, FailedAs
from orderflow import clock

PAGE = 500
# The rest is for the next cleanup: a server could list names without end.
MAX_FILES = 20_000

log = structlog.get_logger(__name__)


def remove_earlier_attempts(
    delivery: Delivery, staged: Sequence[ERPExport], failed: Sequence[ERPExport]
) -> None:
    """Remove the files that earlier attempts of these exports may have left, and those of failed attempts."""
    if not delivery.dropzone.atomic_write:
        return
    attempts = [(export, export.attempts - 1) for export in staged]
    attempts += [(export, export.attempts) for export in failed]
    delivery.transport.remove(
        [
            temporary(published_path(delivery.dropzone, export), attempt)
            for export, last in attempts
            for attempt in range(1, last + 1)
        ]
    )


def clean_up_if_due(delivery: Delivery) -> None:
    """Clean up after a lease was taken over, and with the first delivery of a day. It costs one listing."""
    last_success = delivery.connection.last_success_at
    # Nothing of ours can be left if nothing was ever delivered.
    first_of_the_day = last_success is not None and last_success.date() < clock.now().date()
    if not (delivery.lease.took_over or first_of_the_day):
        return
    try:
        removed = clean_up(delivery)
    except Fault as fault:
        # The cleanup delays no order, and is tried again.
        log.warning("temp_files.not_removed", reason=fault.message)
    else:
        log.info("temp_files.removed", files=removed)


def clean_up(delivery: Delivery) -> int:
    """Remove the files that no worker needs from the export folder; return how many. Raises `Fault`."""
    folder = delivery.dropzone.export_path
    entries = (entry for entry in delivery.transport.list(folder) if entry.is_file)
    removed = 0
    # List the folder to its end first: a server may skip names if files are removed meanwhile.
    names = list(islice((entry.name for entry in entries if _is_ours(entry.name)), MAX_FILES))
    probes = [join(folder, name) for name in names if is_old_probe(name, now=clock.now())]
    removed += delivery.transport.remove(probes).count(True)
    ours = iter([name for name in names if read_temporary(name)])
    while page := list(islice(ours, PAGE)):
        removed += delivery.transport.remove(list(_unneeded(delivery, folder, page))).count(True)
    return removed


def _is_ours(name: str) -> bool:
    return read_temporary(name) is not None or is_old_probe(name, now=clock.now())


def _unneeded(delivery: Delivery, folder: str, names: Sequence[str]) -> Iterator[str]:
    files = {join(folder, name): found for name in names if (found := read_temporary(name))}
    exports = {
        export.filename: export
        for export in ERPExport.objects.for_org(delivery.connection.org_id)
        .filter(filename__in=[file.filename for file in files.values()])
        .defer("payload")
    }
    for path, file in files.items():
        export = exports.get(file.filename)
        if export and _is_unneeded(export, path, file.attempt):
            yield path


def _is_unneeded(export: ERPExport, path: str, attempt: int) -> bool:
    if export.status == ExportStatus.PENDING:
        return attempt < export.attempts and path != export.staged_path
    # While the outcome is unknown, the file's presence decides it.
    return export.failed_as != FailedAs.UNKNOWN
