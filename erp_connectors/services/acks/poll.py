"""One round over one connection's ack folder: list, read a page, decide it in one transaction, file it away."""

import time
from collections.abc import Container, Generator, Sequence
from contextlib import closing
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import structlog
from django.conf import settings
from django.db import transaction

from erp_connectors import circuit, leases
from erp_connectors.common_fields import Dropzone
from erp_connectors.connectors.base import AckUnreadable, Connector
from erp_connectors.crashpoints import crashpoint
from erp_connectors.dropzone_paths import is_old_probe, join
from erp_connectors.dropzones import dropzone_of
from erp_connectors.faults import (
    CONNECTION_DISABLED,
    INTERNAL_ERROR,
    NOT_FOUND,
    PERMISSION_DENIED,
    Fault,
    Scope,
)
from erp_connectors.leases import Lease, Purpose
from erp_connectors.models import AckFile, ERPConnection
from erp_connectors.port_types import Entry
from erp_connectors.registry import connector_for
from erp_connectors.services.acks import decide
from erp_connectors.services.acks.decide import Answered, Reading, Unreadable
from erp_connectors.services.acks.file_index import Noted, noted
from erp_connectors.services.acks.misnamed import MisnamedAnswers
from erp_connectors.services.acks.move_handled import Decided, Filing
from erp_connectors.services.acks.shared_folders import of_others
from erp_connectors.services.connections.ack_folders import retry_moves
from erp_connectors.services.connections.credential_rollover import link
from erp_connectors.services.exports.batching import by_size
from erp_connectors.services.exports.export_log import working_on
from erp_connectors.states import AckFileStatus, ConnectionStatus, Stage
from erp_connectors.transports.base import Transport
from orderflow import clock, tracing
from orderflow.database_faults import is_database_fault
from orderflow.transitions import LostRace

MOST_LEFT_OVER = 100

log = structlog.get_logger(__name__)


class PollReport(msgspec.Struct):
    """What one poll did; counts of ack files.

    ``others`` were left alone, as they answer orders of other orgs; ``more``: its time ended before the folder did.
    """

    connection_id: UUID
    listed: int = 0
    accepted: int = 0
    refused: int = 0
    repeated: int = 0
    conflicts: int = 0
    unmatched: int = 0
    malformed: int = 0
    waiting: int = 0
    moved: int = 0
    others: int = 0
    misnamed: list[str] = msgspec.field(default_factory=list)
    misnamed_more: int = 0
    trouble: str = ""
    busy: bool = False
    more: bool = False

    def lines(self) -> list[str]:
        if self.busy:
            return [f"{self.connection_id}: another worker is polling"]
        counts = [
            f"{value} {name}"
            for name in ("accepted", "refused", "repeated", "conflicts", "unmatched", "malformed", "waiting")
            if (value := getattr(self, name))
        ]
        done = f"{self.connection_id}: {self.listed} ack files" + (f": {', '.join(counts)}" if counts else "")
        done += f"; {self.others} of other orgs" if self.others else ""
        trouble = [f"  trouble: {self.trouble}"] if self.trouble else []
        misnamed = [f"  wrong name: {line}" for line in self.misnamed]
        misnamed += [f"  and {self.misnamed_more} more with a wrong name"] if self.misnamed_more else []
        return [done, *trouble, *misnamed, *(["  there are more"] if self.more else [])]

    def count(self, row: AckFile, reading: Reading) -> None:
        match row.status:
            case AckFileStatus.APPLIED if isinstance(reading, Answered) and not reading.ack.accepted:
                self.refused += 1
            case AckFileStatus.APPLIED:
                self.accepted += 1
            case AckFileStatus.REPEATED:
                self.repeated += 1
            case AckFileStatus.CONFLICT:
                self.conflicts += 1
            case AckFileStatus.UNMATCHED:
                self.unmatched += 1
            case AckFileStatus.MALFORMED:
                self.malformed += 1
            case _:
                self.waiting += 1


def poll_now(connection_id: UUID) -> PollReport:
    """One round that an operator asks for: files that could not be moved are tried again at once."""
    retry_moves(connection_id)
    return poll(connection_id)


def poll(connection_id: UUID, *, seconds: float | None = None, expected: Container[str] = ()) -> PollReport:
    """One round; ``busy`` where another worker is at it. Never raises `Fault`: it is in ``trouble``.

    After ``seconds`` no further page is begun: what was handled is out of the way, and another round takes the rest.
    Answers to ``expected`` order files wait until some export has that name.
    """
    report = PollReport(connection_id)
    lease = leases.take(connection_id, Purpose.POLL)
    if lease is None:
        report.busy = True
        return report
    try:
        with leases.kept(lease):
            ends = None if seconds is None else time.monotonic() + seconds
            _poll(lease, report, ends=ends, expected=expected)
    except LostRace as lost:
        log.warning("poll.lease_lost", connection_id=str(connection_id), reason=str(lost))
        report.busy = True
    return report


def _poll(lease: Lease, report: PollReport, *, ends: float | None, expected: Container[str]) -> None:
    connection = ERPConnection.objects.select_related("org").get(pk=lease.connection_id)
    if connection.status != ConnectionStatus.ACTIVE:
        report.trouble = CONNECTION_DISABLED.meaning
        return
    trouble: Fault | None = None
    misnamed: dict[str, Any] | None = None
    ended_early = True
    with working_on(connection), tracing.span("poll", attributes={"connection_id": str(connection.pk)}):
        try:
            dropzone = dropzone_of(connection)
            if dropzone.ack_path:
                with link(connection.pk, dropzone) as transport:
                    round_ = _Round(lease, connection, transport, dropzone, report=report, expected=expected)
                    trouble = round_.run(ends)
                    misnamed = round_.misnamed_answers
            else:
                misnamed = {}
            ended_early = False
        except Fault as fault:
            trouble = fault
        except LostRace:
            raise
        except Exception as error:
            if is_database_fault(error):
                raise
            log.exception("poll.internal_error", connection_id=str(connection.pk))
            trouble = Fault(INTERNAL_ERROR, f"{type(error).__name__}.")
        report.trouble = trouble.message if trouble else ""
        now = clock.now()
        reason = trouble.as_error(stage=Stage.ACK, attempt=0, at=now) if trouble else None
        circuit.polled(connection, reason, failed=ended_early, now=now, misnamed=misnamed)


class _Round:
    """The state of one poll: what it works on, and what it has seen."""

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
        self.transport = transport
        self.folder = folder = dropzone.ack_path or ""
        self.report = report
        self.expected = expected
        self.started = clock.now()
        self.filing = Filing(lease, transport, folder)
        self.listed: set[int] = set()
        # Files of interrupted connection tests.
        self.left_over: list[str] = []
        self.misnamed = MisnamedAnswers(connection, self.connector, dropzone, now=self.started)
        # None until the folder was listed to its end.
        self.misnamed_answers: dict[str, Any] | None = None
        self.trouble: Fault | None = None

    def run(self, ends: float | None) -> Fault | None:
        with closing(self._acks()) as entries:
            for page in by_size(entries, _weight, files=settings.ACK_BATCH_SIZE):
                self._handle(page)
                if ends is not None and time.monotonic() >= ends:
                    self.report.more = True
                    break
            else:
                self.filing.forget_vanished(self.connection, self.listed)
                self._note_misnamed()
        self.transport.remove(self.left_over)
        return self.trouble or self.filing.trouble

    def _acks(self) -> Generator[Entry, None, None]:
        for entry in self.transport.list(self.folder):
            if self.connector.acknowledges(entry.name):
                yield entry
            elif is_old_probe(entry.name, now=self.started) and len(self.left_over) < MOST_LEFT_OVER:
                self.left_over.append(join(self.folder, entry.name))
            else:
                self.misnamed.see(entry)

    def _note_misnamed(self) -> None:
        """After the answers of this poll were applied: what lies beside them is no answer that is missing."""
        self.misnamed_answers = found = self.misnamed.as_json()
        self.report.misnamed = [
            f"{file['name']!r} is not read; expected is {file['expected']!r}"
            for file in found.get("files", ())
        ]
        self.report.misnamed_more = found.get("count", 0) - len(self.report.misnamed)
        if found.get("count") and not self.connection.misnamed_answers.get("count"):
            log.warning("acks.misnamed", connection_id=str(self.connection.pk), files=found["count"])

    def _handle(self, listed: Sequence[Entry]) -> None:
        page = self._without_others(listed)
        self.report.listed += len(page)
        self.report.others += len(listed) - len(page)
        known = noted(self.connection, page)
        fresh = [one for one in known if not one.settled]
        settled = [Decided(one.entry.name, one.row) for one in known if one.settled and one.row]
        self.listed |= {one.row.pk for one in known if one.row}
        decided = self._decide(fresh)
        moved_before = self.filing.moved
        due = [
            one
            for one in (*settled, *decided)
            if one.row.move_retry_at is None or one.row.move_retry_at <= self.started
        ]
        self.filing.file(due)
        self.report.moved += self.filing.moved - moved_before

    def _without_others(self, listed: Sequence[Entry]) -> Sequence[Entry]:
        answered = {entry.name: self.connector.acknowledges(entry.name) or "" for entry in listed}
        theirs = of_others(self.connection.org_id, answered.values(), expected=self.expected)
        return [entry for entry in listed if answered[entry.name] not in theirs]

    def _decide(self, files: Sequence[Noted]) -> list[Decided]:
        if not files:
            return []
        paths = [join(self.folder, one.entry.name) for one in files]
        bodies = self.transport.read(paths, max_bytes=settings.ACK_MAX_BYTES)
        readings = [
            reading
            for one, body in zip(files, bodies, strict=True)
            if (reading := self._understand(one, body))
        ]
        crashpoint("acks-read")
        with transaction.atomic():
            leases.renew(self.lease)
            rows = decide.decide(self.connection, self.connector, readings, poll_started=self.started)
        crashpoint("acks-decided")
        for row, reading in zip(rows, readings, strict=True):
            self.listed.add(row.pk)
            self.report.count(row, reading)
        return [
            Decided(reading.noted.entry.name, row)
            for row, reading in zip(rows, readings, strict=True)
            if row.decided_at
        ]

    def _understand(self, file: Noted, body: bytes | Fault) -> Reading | None:
        if isinstance(body, Fault):
            return self._not_read(file, body)
        name = file.entry.name
        try:
            ack = self.connector.parse_ack(name, body)
        except AckUnreadable as error:
            patience = timedelta(seconds=settings.ACK_UNFINISHED_SECONDS if error.unfinished else 0)
            return Unreadable(file, body, str(error), patience)
        return Answered(file, body, self.connector.acknowledges(name) or "", ack)

    def _not_read(self, file: Noted, fault: Fault) -> Unreadable | None:
        if fault.kind is NOT_FOUND:
            return None
        if fault.kind is PERMISSION_DENIED:
            # Rights are often given last. Until then nobody can tell what it says, so it stays where it is.
            self.trouble = fault
            return Unreadable(file, b"", fault.message, patience=None)
        if fault.scope is not Scope.FILE:
            self.trouble = fault
            return None
        return Unreadable(file, b"", fault.message)


def _weight(entry: Entry) -> int:
    return min(entry.size, settings.ACK_MAX_BYTES)
