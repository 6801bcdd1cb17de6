"""Make each export's bytes once, archive them, and commit their SHA-256."""

from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from erp_connectors import archive, leases
from erp_connectors.crashpoints import crashpoint
from erp_connectors.faults import ARCHIVE_ALTERED, ARCHIVE_UNAVAILABLE, Fault
from erp_connectors.models import ERPExport, add_events
from erp_connectors.services.delivery.context import Delivery, Failure, Item
from erp_connectors.services.exports.order_snapshot import order_documents
from erp_connectors.services.exports.payload_store import stored_bytes
from erp_connectors.states import Stage
from orderflow.row_updates import update_rows


def render(delivery: Delivery, exports: Sequence[ERPExport]) -> tuple[list[Item], list[Failure]]:
    """Make each export's bytes once; later attempts get the same bytes."""
    rendered = [export for export in exports if export.sha256]
    items, failures = _bytes_again(delivery, rendered) if rendered else ([], [])
    fresh_items, fresh_failures = _render_all(delivery, [export for export in exports if not export.sha256])
    _archive_and_commit(delivery, fresh_items)
    return items + fresh_items, failures + fresh_failures


def _render_all(delivery: Delivery, exports: Sequence[ERPExport]) -> tuple[list[Item], list[Failure]]:
    counts = {export.draft_order_id: export.line_count for export in exports}
    documents = order_documents(counts) if counts else {}
    items, failures = [], []
    for export in exports:
        try:
            document = documents[export.draft_order_id]
            if isinstance(document, Fault):
                raise document
            body = delivery.connector.render(document, delivery.dropzone.format_options)
            items.append(Item(export, body))
        except Fault as fault:
            failures.append(Failure(export, fault, Stage.RENDER))
    return items, failures


def _bytes_again(delivery: Delivery, exports: Sequence[ERPExport]) -> tuple[list[Item], list[Failure]]:
    items, failures = [], []
    for export, data in zip(exports, stored_bytes(exports), strict=True):
        if isinstance(data, archive.ArchiveUnavailable):
            again = _same_bytes_rendered_again(delivery, export)
            if again is None:
                failures.append(Failure(export, Fault(ARCHIVE_UNAVAILABLE, f"{data}."), Stage.ARCHIVE))
            else:
                items.append(Item(export, again))
        elif isinstance(data, archive.ArchiveAltered):
            failures.append(Failure(export, Fault(ARCHIVE_ALTERED, f"{data}."), Stage.ARCHIVE))
        else:
            items.append(Item(export, data))
    return items, failures


def _same_bytes_rendered_again(delivery: Delivery, export: ERPExport) -> bytes | None:
    # An outage of the archive must not hold up an order that still renders to the recorded bytes.
    items, _ = _render_all(delivery, [export])
    same = [item.data for item in items if archive.sha256(item.data) == export.sha256]
    return same[0] if same else None


def _archive_and_commit(delivery: Delivery, items: Sequence[Item]) -> None:
    if not items:
        return
    # A worker that was frozen since its claim must not put other bytes where those that were sent are kept.
    leases.renew(delivery.lease)
    outcomes = archive.put_all([archive.Copy(item.export.export_storage_key, item.data) for item in items])
    crashpoint("archived-before-commit")
    now = timezone.now()
    for item, error in zip(items, outcomes, strict=True):
        item.export.sha256, item.export.size = archive.sha256(item.data), len(item.data)
        item.export.archived_at = None if error else now
        item.export.payload = item.data if error else None
    exports = [item.export for item in items]
    with transaction.atomic():
        leases.renew(delivery.lease)
        update_rows(exports, "sha256", "size", "archived_at")
        # Few or none keep their bytes in the row: only while the archive is down.
        update_rows([export for export in exports if export.archived_at is None], "payload")
        add_events(exports, stage=Stage.RENDER, what="rendered", at=now)
    crashpoint("rendered-committed")
