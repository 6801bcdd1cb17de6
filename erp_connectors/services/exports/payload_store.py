"""Read the bytes of exports: from the row, or from the archive."""

from collections.abc import Sequence

from erp_connectors import archive
from erp_connectors.models import ERPExport


def stored_bytes(
    exports: Sequence[ERPExport],
) -> list[bytes | archive.ArchiveUnavailable | archive.ArchiveAltered]:
    """From the rows that still keep them, and from the archive."""
    kept = dict(
        ERPExport.objects.filter(pk__in=[export.pk for export in exports], payload__isnull=False).values_list(
            "pk", "payload"
        )
    )
    archived = [export for export in exports if export.pk not in kept]
    read = archive.read_all([(export.export_storage_key, export.sha256) for export in archived])
    found = dict(zip([export.pk for export in archived], read, strict=True))
    return [bytes(kept[e.pk] or b"") if e.pk in kept else found[e.pk] for e in exports]


def bytes_of(export: ERPExport) -> bytes:
    """The bytes that were made for an export. Raises `PayloadRemoved`, `ArchiveUnavailable` or `ArchiveAltered`."""
    if export.payload_removed_at:
        raise archive.PayloadRemoved(export.payload_removed_at)
    if export.payload is not None:
        return bytes(export.payload)
    return archive.read(export.export_storage_key, expected_sha256=export.sha256)
