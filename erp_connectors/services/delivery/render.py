"""The bytes of exports: rendered, read again from where they are kept, and archived."""

from collections.abc import Sequence

import structlog

from erp_connectors import archive
from erp_connectors.faults import ARCHIVE_ALTERED, ARCHIVE_UNAVAILABLE, INTERNAL_ERROR, Fault
from erp_connectors.models import ERPExport
from erp_connectors.services.delivery.context import Delivery, Failure, Rendered
from erp_connectors.services.exports.order_snapshot import order_documents
from erp_connectors.services.exports.payload_store import stored_bytes
from erp_connectors.states import Stage
from orderflow import clock

log = structlog.get_logger(__name__)


def render_orders(delivery: Delivery, exports: Sequence[ERPExport]) -> tuple[list[Rendered], list[Failure]]:
    """Render the orders of exports. Anything but `Fault` is a bug of the connector: INTERNAL_ERROR of that order."""
    counts = {export.draft_order_id: export.line_count for export in exports}
    documents = order_documents(counts) if counts else {}
    rendered, failures = [], []
    for export in exports:
        document = documents[export.draft_order_id]
        try:
            if isinstance(document, Fault):
                raise document
            body = delivery.connector.render(document, delivery.dropzone.format_options)
        except Fault as fault:
            failures.append(Failure(export, fault, Stage.RENDER))
        except Exception as error:
            log.exception("render.internal_error", export_id=str(export.pk))
            failures.append(Failure(export, Fault(INTERNAL_ERROR, f"{type(error).__name__}."), Stage.RENDER))
        else:
            rendered.append(Rendered(export, body))
    return rendered, failures


def read_again(delivery: Delivery, exports: Sequence[ERPExport]) -> tuple[list[Rendered], list[Failure]]:
    """Return the bytes that an earlier attempt made."""
    rendered, failures = [], []
    for export, data in zip(exports, stored_bytes(exports), strict=True):
        if isinstance(data, bytes):
            rendered.append(Rendered(export, data))
        elif isinstance(data, archive.ArchiveAltered):
            failures.append(
                Failure(export, Fault(ARCHIVE_ALTERED, path=export.export_storage_key), Stage.ARCHIVE)
            )
        else:
            # An outage of the archive must not hold up an order that still renders to the recorded bytes.
            made, _ = render_orders(delivery, [export])
            if same := [one for one in made if archive.sha256(one.data) == export.sha256]:
                rendered += same
            else:
                failures.append(Failure(export, Fault(ARCHIVE_UNAVAILABLE, f"{data}."), Stage.ARCHIVE))
    return rendered, failures


def archive_copies(rendered: Sequence[Rendered]) -> None:
    """Store the copies. Set sha256 and size of the exports, and the payload of those that could not be stored."""
    outcomes = archive.put_all([archive.Copy(one.export.export_storage_key, one.data) for one in rendered])
    now = clock.now()
    for one, error in zip(rendered, outcomes, strict=True):
        one.export.sha256, one.export.size = archive.sha256(one.data), len(one.data)
        one.export.archived_at = None if error else now
        one.export.payload = one.data if error else None
