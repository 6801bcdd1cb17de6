"""Write complete temporary files, then commit STAGED."""

from collections.abc import Sequence

from django.db import transaction

from erp_connectors import leases
from erp_connectors.crashpoints import crashpoint
from erp_connectors.dropzone_paths import temporary
from erp_connectors.models import ERPExport, add_events
from erp_connectors.port_types import Upload
from erp_connectors.services.delivery.context import Delivery, Failure, Item, split_outcomes
from erp_connectors.services.exports.paths import published_path, staying_at, temporary_path
from erp_connectors.states import Stage
from orderflow import clock
from orderflow.row_updates import update_rows
from orderflow.transitions import LostRace


def stage(delivery: Delivery, items: Sequence[Item]) -> tuple[list[ERPExport], list[Failure]]:
    """Write complete temporary files, their size confirmed by the server; then commit STAGED."""
    paths = [temporary_path(delivery.dropzone, item.export) for item in items]
    uploads = [
        Upload(path, item.data, delivery.dropzone.file_mode) for path, item in zip(paths, items, strict=True)
    ]
    destination = delivery.destination
    with staying_at(delivery.transport, delivery.dropzone, destination):
        outcomes = delivery.transport.stage(uploads)
    crashpoint("staged-before-commit")
    staged, failures = split_outcomes([item.export for item in items], outcomes, Stage.STAGE)
    _sweep_leftovers(delivery, staged, [failure.export for failure in failures])
    try:
        _commit_staged(delivery, staged, destination, detail=" ".join(delivery.transport.remarks()))
    except LostRace:
        # No other worker uses these names, and without the commit no worker may publish them.
        if delivery.dropzone.atomic_write:
            delivery.transport.remove([temporary_path(delivery.dropzone, export) for export in staged])
        raise
    crashpoint("staged-committed")
    return staged, failures


def _sweep_leftovers(delivery: Delivery, staged: Sequence[ERPExport], failed: Sequence[ERPExport]) -> None:
    if not delivery.dropzone.atomic_write:
        return
    last = [
        *((export, export.attempts - 1) for export in staged),
        *((export, export.attempts) for export in failed),
    ]
    delivery.transport.remove(
        [
            temporary(published_path(delivery.dropzone, export), attempt)
            for export, attempts in last
            for attempt in range(1, attempts + 1)
        ]
    )


def _commit_staged(
    delivery: Delivery, exports: Sequence[ERPExport], destination: str, *, detail: str
) -> None:
    if not exports:
        return
    now = clock.now()
    for export in exports:
        export.staged_at, export.staged_destination = now, destination
        export.staged_path = temporary_path(delivery.dropzone, export)
        export.staged_host_key = delivery.transport.server_key()
    with transaction.atomic():
        leases.renew(delivery.lease)
        update_rows(exports, "staged_at", "staged_path", "staged_destination", "staged_host_key")
        add_events(exports, stage=Stage.STAGE, what="staged", detail=detail, at=now)
