"""The empty ``{filename}.done`` beside a published file, for ERPs that wait for one before they read.

It is written after publication and before SENT is recorded, so SENT means that both are there. The worker that finishes
an interrupted delivery writes it again if the file is still there: a file that the ERP has taken needs no marker.
"""

from collections.abc import Sequence

from erp_connectors.common_fields import Dropzone
from erp_connectors.crashpoints import crashpoint
from erp_connectors.faults import Fault
from erp_connectors.models import ERPExport
from erp_connectors.port_types import Upload
from erp_connectors.services.delivery.context import Delivery, Failure, split_outcomes
from erp_connectors.services.exports.paths import published_path
from erp_connectors.states import Stage
from erp_connectors.transports.base import Transport

SUFFIX = ".done"


def write_for(delivery: Delivery, published: Sequence[ERPExport]) -> tuple[list[ERPExport], list[Failure]]:
    """Write the markers of published exports. Return those that are complete, and those whose marker is missing."""
    outcomes = write(delivery.transport, delivery.dropzone, published)
    return split_outcomes(published, outcomes, Stage.PUBLISH)


def write(transport: Transport, dropzone: Dropzone, exports: Sequence[ERPExport]) -> list[Fault | None]:
    """Write the markers. None: it was written, or there is nothing to mark."""
    if not dropzone.done_marker or not exports:
        return [None] * len(exports)
    paths = [published_path(dropzone, export) for export in exports]
    outcomes: list[Fault | None] = []
    uploads: list[Upload] = []
    for path, there in zip(paths, transport.exists(paths), strict=True):
        outcomes.append(there if isinstance(there, Fault) else None)
        if there is True:
            uploads.append(Upload(path + SUFFIX, b"", dropzone.file_mode))
    written = {
        upload.path: fault for upload, fault in zip(uploads, transport.stage(uploads), strict=True) if fault
    }
    crashpoint("marked-before-commit")
    return [written.get(path + SUFFIX, fault) for path, fault in zip(paths, outcomes, strict=True)]
