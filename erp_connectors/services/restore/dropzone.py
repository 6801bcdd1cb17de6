"""Resolve exports of a restored database by their files and answers in the dropzone."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from django.db import transaction
from django.db.models import Q

from erp_connectors import archive
from erp_connectors.common_fields import Dropzone
from erp_connectors.connectors.base import Connector
from erp_connectors.dropzone_paths import join, unnumbered_name
from erp_connectors.faults import FOLDER_MISSING, NAME_TAKEN, NOT_FOUND, TOO_LARGE, Fault
from erp_connectors.models import AckFile, ERPConnection, ERPExport
from erp_connectors.port_types import Move
from erp_connectors.registry import connector_for
from erp_connectors.services.acks.connector_bugs import as_fault
from erp_connectors.services.connections.ack_folders import PROCESSED, REASON_SUFFIX
from erp_connectors.services.exports import transitions
from erp_connectors.services.exports.batching import by_size
from erp_connectors.services.exports.paths import published_path
from erp_connectors.services.restore.report import Recovery, RecoveryFinding, RecoveryFindingKind
from erp_connectors.services.restore.rows import in_doubt
from erp_connectors.states import ExportStatus, FailedAs
from erp_connectors.transports.base import Transport


class _ProcessedAck(NamedTuple):
    """A file in ``processed/``: its name, the export that the name answers if any, and its original name."""

    name: str
    export_filename: str
    original: str


def find_published_files(
    connection: ERPConnection, dropzone: Dropzone, transport: Transport, report: Recovery
) -> None:
    """Resolve exports whose file is in the export folder: they were sent. Raises `Fault`."""
    for page in by_size(in_doubt(connection), lambda export: export.size or 0):
        bodies = transport.read(
            [published_path(dropzone, export) for export in page],
            max_bytes=max(export.size or 1 for export in page),
        )
        there = [export for export, body in zip(page, bodies, strict=True) if _is_whole(export, body)]
        if not report.dry_run:
            with transaction.atomic():
                transitions.resolve_as_published(there, folder=dropzone.export_path)
        for export in there:
            path = published_path(dropzone, export)
            report.add(
                RecoveryFinding(
                    kind=RecoveryFindingKind.SENT,
                    path=path,
                    what="Its file lies in the dropzone: it was sent.",
                )
            )


def put_answers_back(
    connection: ERPConnection, dropzone: Dropzone, transport: Transport, report: Recovery
) -> None:
    """Handled answers that the restored database has not counted go back into the ack folder. Raises `Fault`."""
    if not dropzone.ack_path:
        return
    folder = dropzone.ack_path
    processed = join(folder, PROCESSED)
    connector = connector_for(connection.connector_type)
    # Moving while listing may show a file twice, or hide one: so the names first.
    for page in by_size(list(_processed(transport, connector, dropzone, processed)), lambda answer: 0):
        uncounted = _uncounted(connection, page, processed)
        if not report.dry_run:
            uncounted = _moved_back(transport, uncounted, folder)
        for answer in uncounted:
            path = join(processed, answer.name)
            what = "The restored database has not counted this answer: it is read again."
            report.add(RecoveryFinding(kind=RecoveryFindingKind.ANSWERED, path=path, what=what))


def _is_whole(export: ERPExport, body: bytes | Fault) -> bool:
    if isinstance(body, Fault):
        if body.kind not in (NOT_FOUND, TOO_LARGE):
            raise body
        return False
    return archive.sha256(body) == export.sha256


def _processed(
    transport: Transport, connector: Connector[object], dropzone: Dropzone, processed: str
) -> Iterator[_ProcessedAck]:
    try:
        for entry in transport.list(processed):
            if not entry.is_file or not entry.name.isprintable() or entry.name.endswith(REASON_SUFFIX):
                continue
            for original in (entry.name, unnumbered_name(entry.name)):
                with as_fault("acknowledges", original):
                    found = connector.acknowledges(original, dropzone.format_options)
                if found:
                    yield _ProcessedAck(entry.name, found.export_filename, original)
                    break
    except Fault as fault:
        if fault.kind is not FOLDER_MISSING:
            raise


def _uncounted(
    connection: ERPConnection, answers: Sequence[_ProcessedAck], processed: str
) -> list[_ProcessedAck]:
    waiting = ERPExport.objects.for_org(connection.org_id).filter(
        Q(status=ExportStatus.SENT) | Q(status=ExportStatus.PENDING) | Q(failed_as=FailedAs.UNKNOWN),
        filename__in=[answer.export_filename for answer in answers],
    )
    names = set(waiting.values_list("filename", flat=True))
    paths = [join(processed, answer.name) for answer in answers]
    counted = set(
        AckFile.objects.filter(connection=connection, moved_to__in=paths).values_list("moved_to", flat=True)
    )
    return [
        answer
        for answer in answers
        # If the name names no export, only reading the file again shows which exports it answers.
        if (not answer.export_filename or answer.export_filename in names)
        and join(processed, answer.name) not in counted
    ]


def _moved_back(transport: Transport, answers: Sequence[_ProcessedAck], folder: str) -> list[_ProcessedAck]:
    moves = [Move(join(folder, PROCESSED, answer.name), join(folder, answer.original)) for answer in answers]
    moved = []
    for answer, fault in zip(answers, transport.move(moves), strict=True):
        # Taken: another answer to the same order is there already, and this one has its turn at the next call.
        if fault is None:
            moved.append(answer)
        elif fault.kind not in (NAME_TAKEN, NOT_FOUND):
            raise fault
    return moved
