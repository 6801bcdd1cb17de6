"""Compare the ack files in the dropzone with the rows of handled answers."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from django.conf import settings

from erp_connectors import archive
from erp_connectors.common_fields import Dropzone
from erp_connectors.connectors.base import AckName, AckUnreadable, Connector
from erp_connectors.dropzone_paths import join, name_of, numbered_name, unnumbered_name
from erp_connectors.faults import FOLDER_MISSING, NOT_FOUND, TOO_LARGE, Fault
from erp_connectors.models import AckFile, ERPConnection, ERPExport
from erp_connectors.port_types import Entry
from erp_connectors.registry import connector_for
from erp_connectors.services.acks.connector_bugs import as_fault
from erp_connectors.services.acks.content import digest
from erp_connectors.services.acks.misnamed import MisnamedFinder
from erp_connectors.services.acks.shared_folders import NAMES_AT_ONCE, foreign_filenames
from erp_connectors.services.connections.ack_folders import ERROR, PROCESSED, REASON_SUFFIX
from erp_connectors.services.exports.batching import by_size
from erp_connectors.services.reconciliation.report import Finding, FindingKind, Reconciliation
from erp_connectors.states import AckFileStatus, ExportStatus
from erp_connectors.transports.base import Transport
from orderflow import clock


@dataclass(frozen=True, slots=True)
class _AnswerFile:
    """An answer file. ``name``: its original name. ``filenames``: the exports that it answers."""

    entry: Entry
    path: str
    name: str
    filenames: frozenset[str]


class AnswerFiles:
    def __init__(
        self, connection: ERPConnection, dropzone: Dropzone, transport: Transport, report: Reconciliation
    ) -> None:
        self.connection = connection
        self.connector: Connector[object] = connector_for(connection.connector_type)
        self.options = dropzone.format_options
        self.folder = dropzone.ack_path or ""
        self.transport = transport
        self.report = report
        self.misnamed = MisnamedFinder(connection, self.connector, dropzone, now=clock.now())
        self.answered: set[UUID] = set()

    def compare(self) -> set[UUID]:
        """Compare; return the unanswered exports for which a file is in any of the folders. Raises `Fault`."""
        if not self.folder:
            return set()
        for place in (self.folder, join(self.folder, ERROR)):
            for listed in by_size(
                self._answers(place), lambda seen: 0 if seen.filenames else seen.entry.size
            ):
                page = self._with_contents(listed)
                self._exports(page)
                if place == self.folder:
                    self._report_unmoved(self._without_others(page))
        for page in by_size(self._answers(join(self.folder, PROCESSED)), lambda seen: seen.entry.size):
            ours = self._without_others(self._with_contents(page))
            self.report.answers += len(ours)
            self._compare_processed(ours)
        self._report_misnamed()
        return self.answered

    def _answers(self, place: str) -> Iterator[_AnswerFile]:
        try:
            for entry in self.transport.list(place):
                found = self._named(entry.name)
                if place == self.folder and self._acknowledges(entry.name) is None:
                    with as_fault("misnamed_answer", entry.name):
                        self.misnamed.add(entry)
                if entry.is_file and found:
                    name, answered = found
                    filenames = frozenset(filter(None, [answered.export_filename]))
                    yield _AnswerFile(entry, join(place, entry.name), name, filenames)
        except Fault as fault:
            # Polls make this folder when they first need it.
            if fault.kind is not FOLDER_MISSING or place == self.folder:
                raise

    def _named(self, name: str) -> tuple[str, AckName] | None:
        """Return the original name of an answer file, and the export that it names; None for other files."""
        if not name.isprintable() or name.endswith(REASON_SUFFIX):
            return None
        for original in (name, unnumbered_name(name)):
            if answered := self._acknowledges(original):
                return original, answered
        return None

    def _acknowledges(self, name: str) -> AckName | None:
        with as_fault("acknowledges", name):
            return self.connector.acknowledges(name, self.options)

    def _with_contents(self, page: Sequence[_AnswerFile]) -> Sequence[_AnswerFile]:
        """Read the files whose names do not say which exports they answer."""
        unnamed = [seen for seen in page if not seen.filenames]
        bodies = self.transport.read([seen.path for seen in unnamed], max_bytes=settings.ACK_MAX_BYTES)
        found = {}
        for seen, body in zip(unnamed, bodies, strict=True):
            if isinstance(body, bytes):
                found[seen.path] = self._exports_in(seen, body)
        return [replace(seen, filenames=found.get(seen.path, seen.filenames)) for seen in page]

    def _exports_in(self, seen: _AnswerFile, body: bytes) -> frozenset[str]:
        try:
            with as_fault("parse_ack", seen.path):
                acks = self.connector.parse_ack(seen.name, body, self.options)
        except AckUnreadable:
            return frozenset()
        return frozenset(filter(None, (ack.export_filename for ack in acks)))

    def _without_others(self, page: Sequence[_AnswerFile]) -> Sequence[_AnswerFile]:
        named = {name for seen in page for name in seen.filenames}
        foreign = foreign_filenames(self.connection.org_id, named)
        return [seen for seen in page if not seen.filenames or seen.filenames - foreign]

    def _exports(self, page: Sequence[_AnswerFile]) -> dict[str, ERPExport]:
        names = {name for seen in page for name in seen.filenames}
        ours = ERPExport.objects.for_org(self.connection.org_id).only("id", "filename", "status")
        exports: dict[str, ERPExport] = {}
        for some in by_size(names, lambda name: 1, files=NAMES_AT_ONCE):
            exports |= {export.filename: export for export in ours.filter(filename__in=some)}
        self.answered |= {export.pk for export in exports.values() if export.status == ExportStatus.SENT}
        return exports

    def _report_unmoved(self, page: Sequence[_AnswerFile]) -> None:
        """Report handled answers that could not be moved: the ERP team takes them for unread."""
        rows = AckFile.objects.filter(connection=self.connection, move_retry_at__isnull=False).present()
        unmoved = {
            row.name: row for row in rows.filter(name__in=[seen.entry.name for seen in page]).defer("body")
        }
        for seen in page:
            if row := unmoved.get(seen.entry.name):
                export_id = row.export_id
                self.report.add(
                    Finding(
                        kind=FindingKind.UNMOVED,
                        path=seen.path,
                        what=UNMOVED,
                        to_do=ALLOW,
                        export_id=export_id,
                    )
                )

    def _report_misnamed(self) -> None:
        for file in self.misnamed.files():
            path, to_do = join(self.folder, file.name), RENAME % {"name": file.expected_name}
            self.report.add(
                Finding(
                    kind=FindingKind.MISNAMED, path=path, what=MISNAMED, to_do=to_do, export_id=file.export_id
                )
            )
            # An answer came, so the order is not lost.
            self.answered |= {file.export_id} if file.export_id else set()

    def _compare_processed(self, page: Sequence[_AnswerFile]) -> None:
        exports = self._exports(page)
        handled = self._handled(exports)
        pairs = []
        for seen in page:
            answered = [exports[name] for name in sorted(seen.filenames) if name in exports]
            rows = [row for export in answered for row in handled[export.filename] if _is_of(row, seen)]
            counted = {row.export_id for row in rows}
            waiting = [
                export
                for export in answered
                if export.status == ExportStatus.SENT and export.pk not in counted
            ]
            if not answered:
                self._add(
                    FindingKind.ORPHANED,
                    seen,
                    "It answers an order file that no export of this org has.",
                    RESTORED,
                )
            elif waiting:
                self._add(
                    FindingKind.LOST,
                    seen,
                    "No poll has counted this answer, and its order waits for one.",
                    AGAIN,
                    waiting[0].pk,
                )
            elif rows:
                pairs.append((seen, rows))
            else:
                self._add(
                    FindingKind.UNEXPLAINED,
                    seen,
                    "No poll has put it here.",
                    "Find out who did.",
                    answered[0].pk,
                )
        self._compare_bytes(pairs)

    def _handled(self, exports: dict[str, ERPExport]) -> dict[str, list[AckFile]]:
        names = {export.pk: export.filename for export in exports.values()}
        handled: dict[str, list[AckFile]] = defaultdict(list)
        rows = AckFile.objects.for_org(self.connection.org_id).filter(export__in=list(names))
        for row in rows.exclude(status__in=(AckFileStatus.WAITING, AckFileStatus.MALFORMED)):
            if row.export_id:
                handled[names[row.export_id]].append(row)
        return handled

    def _compare_bytes(self, pairs: Sequence[tuple[_AnswerFile, list[AckFile]]]) -> None:
        paths = [seen.path for seen, _ in pairs]
        bodies = self.transport.read(paths, max_bytes=settings.ACK_MAX_BYTES)
        for (seen, rows), body in zip(pairs, bodies, strict=True):
            if isinstance(body, Fault) and body.kind is NOT_FOUND:
                continue  # tidied away meanwhile
            if isinstance(body, Fault) and body.kind is not TOO_LARGE:
                raise body
            if isinstance(body, Fault) or archive.sha256(body) not in [digest(row) for row in rows]:
                self._add(FindingKind.ALTERED, seen, "It is not what was read.", LOOK, rows[0].export_id)

    def _add(
        self, kind: FindingKind, seen: _AnswerFile, what: str, to_do: str, export_id: UUID | None = None
    ) -> None:
        self.report.add(Finding(kind=kind, path=seen.path, what=what, to_do=to_do, export_id=export_id))


MISNAMED = "It is probably an answer, but no poll reads a file of this name."
RENAME = "Have the ERP team call it %(name)s, and use that form from now on."
UNMOVED = "It was read and counted, and could not be moved out of the ack folder."
ALLOW = (
    "Ask the server's operator for the right to move it, then test the connection: the next poll moves it."
)
RESTORED = "Was the database restored from an older state?"
AGAIN = "Move it back into the ack folder: the next poll reads it."
LOOK = "The admin shows, under ack files, what was read, or its SHA-256; find out who changed it."


def _is_of(row: AckFile, seen: _AnswerFile) -> bool:
    """Return True if this row is of this file. A killed poll may have moved it without recording where."""
    return seen.entry.name in (name_of(row.moved_to), row.name, numbered_name(row.name, row.pk))
