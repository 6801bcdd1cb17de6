"""Find files that are published although their rename failed."""

from collections.abc import Sequence

from erp_connectors import archive
from erp_connectors.faults import NAME_TAKEN, NOT_FOUND
from erp_connectors.models import ERPExport
from erp_connectors.services.delivery.context import Delivery, Failure
from erp_connectors.services.exports.paths import published_path


def already_published(
    delivery: Delivery, failures: Sequence[Failure]
) -> tuple[list[ERPExport], list[Failure]]:
    """Return the exports of failed renames that are published, and the other failures.

    An absent temporary file is the receipt of an earlier rename. A taken name may be that of our own
    file, if the server renames by link and unlink.
    """
    absent = [failure.export for failure in failures if failure.fault.kind is NOT_FOUND]
    taken = [failure.export for failure in failures if failure.fault.kind is NAME_TAKEN]
    ours = _same_content(delivery, taken) if taken else []
    delivery.transport.remove([export.staged_path for export in ours])
    published = [*absent, *ours]
    ids = {export.pk for export in published}
    return published, [failure for failure in failures if failure.export.pk not in ids]


def _same_content(delivery: Delivery, exports: Sequence[ERPExport]) -> list[ERPExport]:
    bodies = delivery.transport.read(
        [published_path(delivery.dropzone, export) for export in exports],
        max_bytes=max(export.size or 0 for export in exports),
    )
    return [
        export
        for export, body in zip(exports, bodies, strict=True)
        if isinstance(body, bytes) and archive.sha256(body) == export.sha256
    ]
