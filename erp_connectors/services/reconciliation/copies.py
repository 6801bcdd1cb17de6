"""Compare the archived copies of a connection's exports with what was sent."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from django.db.models import Q

from erp_connectors import archive
from erp_connectors.archive import ArchiveAltered, ArchiveUnavailable
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.services.exports.batching import by_size
from erp_connectors.services.reconciliation.report import Finding, FindingKind, Reconciliation
from orderflow.paging import by_key


class _Copy(NamedTuple):
    export_id: UUID
    key: str
    sha256: str
    size: int


def compare_copies(connection: ERPConnection, report: Reconciliation) -> None:
    """Report copies that are missing or altered.

    Leave out exports that retention has removed, and those whose bytes are still in the row.
    """
    rendered = ERPExport.objects.filter(connection=connection, payload_removed_at=None).exclude(
        Q(sha256="") | Q(payload__isnull=False)
    )
    rows = rendered.values_list("pk", "export_storage_key", "sha256", "size")
    copies = (
        _Copy(pk, key, sha256, size or 0)
        for pk, key, sha256, size in by_key(rows, key_of=lambda row: row[:1])
    )
    for page in by_size(copies, lambda copy: copy.size):
        if not _compare(page, report):
            return


def _compare(page: Sequence[_Copy], report: Reconciliation) -> bool:
    """Return False if the archive can't be reached, so that further requests would only take time."""
    for copy, found in zip(page, archive.read_all([(one.key, one.sha256) for one in page]), strict=True):
        if isinstance(found, ArchiveUnavailable) and not isinstance(found.__cause__, FileNotFoundError):
            report.errors.append(f"The archive can't be read: {found}.")
            return False
        report.copies += 1
        if isinstance(found, ArchiveUnavailable):
            _report(
                report, copy, FindingKind.NO_COPY, "The archived copy is not there.", "Restore the archive."
            )
        elif isinstance(found, ArchiveAltered):
            _report(
                report,
                copy,
                FindingKind.ALTERED,
                "The archived copy is not what was sent.",
                "Restore the archive, and find out who may write to it.",
            )
    return True


def _report(report: Reconciliation, copy: _Copy, kind: FindingKind, what: str, to_do: str) -> None:
    report.add(Finding(kind=kind, path=copy.key, what=what, to_do=to_do, export_id=copy.export_id))
