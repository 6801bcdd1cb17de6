"""Write complete temporary files, then commit STAGED."""

from collections.abc import Sequence

from django.db import transaction
from django.db.models import CharField, F, Value
from django.db.models.functions import Cast, Concat

from erp_connectors import leases
from erp_connectors.crashpoints import crashpoint
from erp_connectors.models import ERPExport, add_events
from erp_connectors.port_types import Upload
from erp_connectors.services.delivery.context import Delivery, Failure, Item, split_outcomes
from erp_connectors.services.exports.paths import published_path, staying_at, temporary_path
from erp_connectors.states import Stage
from orderflow import clock
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
    final = {export.pk: published_path(delivery.dropzone, export) for export in (*staged, *failed)}
    leftovers = [f"{final[export.pk]}.{n}.tmp" for export in staged for n in range(1, export.attempts)]
    leftovers += [f"{final[export.pk]}.{n}.tmp" for export in failed for n in range(1, export.attempts + 1)]
    delivery.transport.remove(leftovers)


def _commit_staged(
    delivery: Delivery, exports: Sequence[ERPExport], destination: str, *, detail: str
) -> None:
    if not exports:
        return
    now = clock.now()
    final: Concat | Value = Concat(Value(f"{delivery.dropzone.export_path.rstrip('/')}/"), F("filename"))
    if delivery.dropzone.atomic_write:
        final = Concat(final, Value("."), Cast("attempts", CharField()), Value(".tmp"))
    with transaction.atomic():
        leases.renew(delivery.lease)
        ERPExport.objects.filter(pk__in=[export.pk for export in exports]).update(
            staged_at=now,
            staged_path=final,
            staged_destination=destination,
            staged_host_key=delivery.transport.server_key(),
        )
        add_events(exports, stage=Stage.STAGE, what="staged", detail=detail, at=now)
    for export in exports:
        export.staged_at, export.staged_destination = now, destination
        export.staged_path = temporary_path(delivery.dropzone, export)
