"""Poll an ack folder: list it once, read a page, decide it in one transaction, then move its files."""

import json
import time
from collections.abc import Container, Generator, Sequence
from contextlib import closing
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction

from erp_connectors import circuit, leases
from erp_connectors.common_fields import Dropzone
from erp_connectors.connectors.base import AckName, Connector
from erp_connectors.crashpoints import crashpoint
from erp_connectors.dropzone_paths import is_old_probe, join
from erp_connectors.dropzones import dropzone_of
from erp_connectors.faults import (
    CONNECTION_DISABLED,
    INTERNAL_ERROR,
    Fault,
)
from erp_connectors.leases import Lease
from erp_connectors.models import ERPConnection
from erp_connectors.registry import connector_for
from erp_connectors.services.acks.connector_bugs import as_fault
from erp_connectors.services.acks.decide import ReadAck, UnreadableAck, decide
from erp_connectors.services.acks.file_index import ListedAck, stored_name, with_rows
from erp_connectors.services.acks.misnamed import MisnamedFinder
from erp_connectors.services.acks.move_handled import AckMover, HandledAck
from erp_connectors.services.acks.poll_report import PollReport
from erp_connectors.services.acks.read import AckReader
from erp_connectors.services.connections.ack_folders import retry_moves
from erp_connectors.services.connections.credential_rollover import open_link
from erp_connectors.services.exports.batching import by_size
from erp_connectors.services.exports.export_log import working_on
from erp_connectors.states import ConnectionStatus, Stage
from erp_connectors.transports.base import Transport
from orderflow import clock, tracing
from orderflow.database_faults import is_database_fault
from orderflow.transitions import LostRace

MAX_TEST_FILES = 100
# Answers in one transaction: each costs parameters of statements.
MAX_ANSWERS = 1000

log = structlog.get_logger(__name__)


def poll_now(connection_id: UUID) -> PollReport:
    """Poll at a user's request, and retry refused moves at once."""
    retry_moves(connection_id)
    return poll(connection_id)


def poll(connection_id: UUID, *, seconds: float | None = None, expected: Container[str] = ()) -> PollReport:
    """Poll one connection. Never raises `Fault`: the report has it as ``error``.

    After ``seconds`` no further page is begun; another poll does the rest. Answers to ``expected`` order files wait
    until an export has that name.
    """
    report = PollReport(connection_id)
    lease = leases.take(connection_id, leases.POLL)
    if lease is None:
        report.busy = True
        return report
    ends = None if seconds is None else time.monotonic() + seconds
    try:
        with leases.kept(lease):
            connection = ERPConnection.objects.select_related("org").get(pk=connection_id)
            if connection.status == ConnectionStatus.ACTIVE:
                _poll_active(lease, connection, report, ends=ends, expected=expected)
            else:
                report.error = CONNECTION_DISABLED.meaning
    except LostRace as lost:
        log.warning("poll.lease_lost", connection_id=str(connection_id), reason=str(lost))
        report.busy = True
    return report


def _poll_active(
    lease: Lease,
    connection: ERPConnection,
    report: PollReport,
    *,
    ends: float | None,
    expected: Container[str],
) -> None:
    """Poll the folder, and record the result in the connection's row. A database fault is raised."""
    fault: Fault | None = None
    misnamed: dict[str, Any] | None = None
    failed = True
    with working_on(connection), tracing.span("poll", attributes={"connection_id": str(connection.pk)}):
        try:
            dropzone = dropzone_of(connection)
            if dropzone.ack_path:
                with open_link(connection.pk, dropzone) as transport:
                    folder = _FolderPoll(
                        lease, connection, transport, dropzone, report=report, expected=expected
                    )
                    folder.run(ends)
                    fault, misnamed = folder.fault, folder.misnamed
            else:
                misnamed = {}
            failed = False
        except Fault as error:
            fault = error
        except LostRace:
            raise
        except Exception as error:
            if is_database_fault(error):
                raise
            log.exception("poll.internal_error", connection_id=str(connection.pk))
            fault = Fault(INTERNAL_ERROR, f"{type(error).__name__}.")
        report.error = fault.message if fault else ""
        now = clock.now()
        reason = fault.as_error(stage=Stage.ACK, attempt=0, at=now) if fault else None
        circuit.polled(connection, reason, failed=failed, now=now, misnamed=misnamed)


class _FolderPoll:
    """One poll of one folder, and its results so far."""

    def __init__(
        self,
        lease: Lease,
        connection: ERPConnection,
        transport: Transport,
        dropzone: Dropzone,
        *,
        report: PollReport,
        expected: Container[str],
    ) -> None:
        self.lease = lease
        self.connection = connection
        self.connector: Connector[object] = connector_for(connection.connector_type)
        self.options = dropzone.format_options
        self.transport = transport
        self.folder = folder = dropzone.ack_path or ""
        self.report = report
        self.reader = AckReader(
            connection, self.connector, dropzone, transport, report=report, expected=expected
        )
        self.started = clock.now()
        self.mover = AckMover(
            lease, transport, folder, example=lambda name: self.connector.ack_example(name, self.options)
        )
        self.finder = MisnamedFinder(connection, self.connector, dropzone, now=self.started)
        # Keys of the rows of all listed files.
        self.listed: set[int] = set()
        # Files of interrupted connection tests.
        self.test_files: list[str] = []
        # Stored names of files that the connector failed on.
        self.skipped: set[str] = set()
        # None until the folder was listed to its end.
        self.misnamed: dict[str, Any] | None = None
        # Of the connector, on the name of a file.
        self.name_fault: Fault | None = None

    @property
    def fault(self) -> Fault | None:
        """Return why a file could not be read, or else not moved."""
        return self.name_fault or self.reader.fault or self.mover.fault

    def run(self, ends: float | None) -> None:
        """List the folder, and handle it page by page until the time ends."""
        most = settings.ACK_MAX_BYTES
        with closing(self._listed_acks()) as files:
            for page in by_size(
                files, lambda file: min(file.entry.size, most), files=settings.ACK_BATCH_SIZE
            ):
                self._handle(page)
                if ends is not None and time.monotonic() >= ends:
                    self.report.more = True
                    break
            else:
                self.mover.forget_vanished(self.connection, self.listed, skipped=self.skipped)
                # After the answers were applied: a second file of an answered export is not misnamed.
                self.misnamed = self.finder.as_json()
                if self.misnamed:
                    self._report_misnamed(self.misnamed)
        if self.test_files:
            self.transport.remove(self.test_files)

    def _listed_acks(self) -> Generator[ListedAck, None, None]:
        """Yield the ack files, and note the other files that the end of the poll needs."""
        for entry in self.transport.list(self.folder):
            # One bug of a connector may affect each file of a folder.
            quiet = bool(self.skipped)
            name: AckName | None = None
            try:
                with as_fault("acknowledges", entry.name, quiet=quiet):
                    name = self.connector.acknowledges(entry.name, self.options)
                if name is None and is_old_probe(entry.name, now=self.started):
                    if len(self.test_files) < MAX_TEST_FILES:
                        self.test_files.append(join(self.folder, entry.name))
                elif name is None:
                    with as_fault("misnamed_answer", entry.name, quiet=quiet):
                        self.finder.add(entry)
            except Fault as fault:
                # The file stays, and so do its rows; the other files are read.
                self.skipped.add(stored_name(entry.name))
                self.name_fault = fault
            if name:
                yield ListedAck(entry, name.export_filename)

    def _handle(self, page: Sequence[ListedAck]) -> None:
        """Read, decide and move one page, without the files of other orgs."""
        foreign = self.reader.foreign({file.export_filename for file in page})
        ours = [file for file in page if file.export_filename not in foreign]
        self.report.listed += len(ours)
        self.report.others += len(page) - len(ours)
        files = with_rows(self.connection, ours)
        self.listed |= {row.pk for file in files for row in file.rows}
        handled = [HandledAck(file.entry.name, file.rows) for file in files if file.is_decided]
        if undecided := [file for file in files if not file.is_decided]:
            read = self.reader.read(undecided)
            crashpoint("acks-read")
            # One transaction, unless the files hold more answers than statements can take.
            for some in by_size(
                read, lambda one: len(one.answers), files=len(read), most=max(MAX_ANSWERS, len(read))
            ):
                handled += self._decide(some)
        now = self.started
        due = [file for file in handled if file.row.move_retry_at is None or file.row.move_retry_at <= now]
        if due:
            self.mover.move(due)
            self.report.moved = self.mover.moved

    def _decide(self, files: Sequence[ReadAck | UnreadableAck]) -> list[HandledAck]:
        """Decide these files in one transaction. Return those of which every answer is decided."""
        before = {row.pk for read in files if read.unchanged for row in read.file.rows if row.decided_at}
        with transaction.atomic():
            leases.renew(self.lease)
            rows_of_files = decide(self.connection, files, poll_started=self.started)
        crashpoint("acks-decided")
        handled = []
        for read, rows in zip(files, rows_of_files, strict=True):
            self.listed |= {row.pk for row in rows}
            for row in rows:
                if row.pk not in before:
                    self.report.count(row)
            if all(row.decided_at for row in rows):
                handled.append(HandledAck(read.file.entry.name, rows))
        return handled

    def _report_misnamed(self, found: dict[str, Any]) -> None:
        files = found["files"]
        self.report.misnamed = [
            f"{_quoted(file['name'])} is not read; expected is {_quoted(file['expected'])}" for file in files
        ]
        self.report.misnamed_more = found["count"] - len(files)
        if found["count"] and not self.connection.misnamed_answers.get("count"):
            log.warning("acks.misnamed", connection_id=str(self.connection.pk), files=found["count"])


def _quoted(name: str) -> str:
    """Return a file name with quotes, control characters written as JSON does."""
    return json.dumps(name, ensure_ascii=False)
