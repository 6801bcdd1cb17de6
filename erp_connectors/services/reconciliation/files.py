"""Compare the order files in the export folder with the exports in the database."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db.models import Q

from erp_connectors import archive
from erp_connectors.common_fields import Dropzone
from erp_connectors.connectors.base import Connector
from erp_connectors.dropzone_paths import join, read_temporary
from erp_connectors.faults import NOT_FOUND, TOO_LARGE, Fault
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.port_types import Entry
from erp_connectors.registry import connector_for
from erp_connectors.services.exports.batching import by_size
from erp_connectors.services.exports.paths import withdrawn_path
from erp_connectors.services.reconciliation.report import Finding, FindingKind, Reconciliation
from erp_connectors.states import AckableState, ExportStatus, FailedAs
from erp_connectors.transports.base import Transport
from orderflow.tenancy import scope


@dataclass(frozen=True, slots=True)
class _OrderFile:
    """A file that has the name of an export, or the temporary name of one."""

    entry: Entry
    path: str
    filename: str

    @property
    def temporary(self) -> bool:
        return self.entry.name != self.filename


class OrderFiles:
    def __init__(
        self, connection: ERPConnection, dropzone: Dropzone, transport: Transport, report: Reconciliation
    ) -> None:
        self.connection = connection
        self.connector: Connector[object] = connector_for(connection.connector_type)
        self.dropzone = dropzone
        self.folder = dropzone.export_path
        self.writes_in_place = not dropzone.atomic_write
        self.transport = transport
        self.report = report

    def compare(self) -> None:
        """Compare the files with the exports. Raises `Fault` if the folder can't be listed or read."""
        for listed in by_size(self._ours(), lambda seen: seen.entry.size):
            page = self._without_others(listed)
            self.report.files += len(page)
            exports = self._exports(page)
            known = [(seen, exports[seen.filename]) for seen in page if seen.filename in exports]
            for seen in page:
                if seen.filename not in exports:
                    self._orphaned(seen)
            self._explain([(seen, export) for seen, export in known if not seen.temporary])
            self._look_for_unpublished([(seen, export) for seen, export in known if seen.temporary])

    def _ours(self) -> Iterator[_OrderFile]:
        for entry in self.transport.list(self.folder):
            temporary = read_temporary(entry.name)
            filename = temporary.filename if temporary else entry.name
            if entry.is_file and self.connector.names_export(filename):
                yield _OrderFile(entry, join(self.folder, entry.name), filename)

    def _without_others(self, page: Sequence[_OrderFile]) -> Sequence[_OrderFile]:
        """Leave out the files of another org that shares this folder."""
        # Their path of this folder may be another one; one that is being delivered has no destination yet.
        here = Q(staged_destination__startswith=f"{self.transport.destination(self.folder)}|")
        names = [seen.filename for seen in page]
        rows = ERPExport.objects.filter(here | Q(staged_destination=""), filename__in=names)
        rows = rows.exclude(org=self.connection.org_id)
        with scope.everything():
            theirs = set(rows.values_list("filename", flat=True))
        return [seen for seen in page if seen.filename not in theirs]

    def _exports(self, page: Sequence[_OrderFile]) -> dict[str, ERPExport]:
        """Return the exports by file name, read after the listing: a file is written after its row is committed."""
        rows = ERPExport.objects.for_org(self.connection.org_id).filter(
            filename__in=[seen.filename for seen in page]
        )
        return {export.filename: export for export in rows.defer("payload")}

    def _explain(self, pairs: Sequence[tuple[_OrderFile, ERPExport]]) -> None:
        whole = []
        for seen, export in pairs:
            if not _was_sent(export):
                self._not_sent(seen, export)
            elif seen.entry.size != export.size:
                self._altered(seen, export)
            else:
                whole.append((seen, export))
        self._compare_bytes(whole)

    def _compare_bytes(self, pairs: Sequence[tuple[_OrderFile, ERPExport]]) -> None:
        biggest = max((seen.entry.size for seen, _ in pairs), default=0)
        bodies = self.transport.read([seen.path for seen, _ in pairs], max_bytes=biggest)
        for (seen, export), body in zip(pairs, bodies, strict=True):
            if isinstance(body, Fault) and body.kind is NOT_FOUND:
                continue  # the ERP took it meanwhile
            if isinstance(body, Fault) and body.kind is not TOO_LARGE:
                raise body
            if isinstance(body, Fault) or archive.sha256(body) != export.sha256:
                self._altered(seen, export)

    def _not_sent(self, seen: _OrderFile, export: ERPExport) -> None:
        if export.ackable_state is AckableState.STAGED or (
            export.ackable_state is AckableState.NOT_STAGED and self.writes_in_place
        ):
            return  # being delivered at this moment
        if export.ackable_state is AckableState.NOT_STAGED:
            what, to_do = (
                "The database says that it is not written yet.",
                "Find out who wrote it; the delivery goes on by itself.",
            )
        elif export.failed_as == FailedAs.UNKNOWN:
            what, to_do = (
                "Its delivery broke off with an unknown outcome; it was published after all.",
                "Retry the push: it resolves the outcome, and sends nothing twice.",
            )
        else:
            what, to_do = (
                "The database says that it was never sent, and the ERP can read it.",
                "Before the order is sent again, ask the ERP team whether they have it, and take the file away.",
            )
        self._add(FindingKind.UNEXPLAINED, seen, what, to_do, export)

    def _look_for_unpublished(self, pairs: Sequence[tuple[_OrderFile, ERPExport]]) -> None:
        """Report SENT exports whose file still has its temporary name: the ERP never saw it."""
        unseen = [
            (seen, export)
            for seen, export in pairs
            if export.status == ExportStatus.SENT
            and seen.path in (export.staged_path, withdrawn_path(export))
        ]
        for seen, export in unseen:
            final, temporary = self.transport.exists([join(self.folder, export.filename), seen.path])
            if final is False and temporary is True:
                self._add(
                    FindingKind.LOST,
                    seen,
                    "The database says that it was sent, but it still has its temporary name.",
                    "The ERP can't have read it. Mark the export as refused, and retry the push.",
                    export,
                )

    def _orphaned(self, seen: _OrderFile) -> None:
        self._add(
            FindingKind.ORPHANED,
            seen,
            "No export of this org has this name.",
            "Was the database restored from an older state, or does another installation write here?",
            None,
        )

    def _altered(self, seen: _OrderFile, export: ERPExport) -> None:
        kept = "the archived copy holds what was sent."
        removed = "the archived copy was removed by retention, the export's row has its SHA-256."
        to_do = f"Find out who changed it; {removed if export.payload_removed_at else kept}"
        self._add(FindingKind.ALTERED, seen, "It is not what was sent.", to_do, export)

    def _add(
        self, kind: FindingKind, seen: _OrderFile, what: str, to_do: str, export: ERPExport | None
    ) -> None:
        export_id = export.pk if export else None
        self.report.add(Finding(kind=kind, path=seen.path, what=what, to_do=to_do, export_id=export_id))


def _was_sent(export: ERPExport) -> bool:
    return export.status in (ExportStatus.SENT, ExportStatus.ACKED) or export.failed_as == FailedAs.REFUSED
