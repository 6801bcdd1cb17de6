"""One round over one connection's ack folder: list, read a page, decide it in one transaction, move it."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from uuid import UUID

import msgspec
import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from erp_connectors import leases
from erp_connectors.connectors.base import AckUnreadable, Connector
from erp_connectors.crashpoints import crashpoint
from erp_connectors.documents import Ack, Entry, Move
from erp_connectors.faults import (
    CONNECTION_DISABLED,
    FOLDER_MISSING,
    INTERNAL_ERROR,
    NAME_TAKEN,
    NOT_FOUND,
    PERMISSION_DENIED,
    Fault,
    Scope,
)
from erp_connectors.leases import Lease, Purpose
from erp_connectors.models import AckFile, ERPConnection
from erp_connectors.registry import connector_for
from erp_connectors.services import ack_decisions
from erp_connectors.services.ack_decisions import Answered, Unreadable
from erp_connectors.services.context import dropzone_of
from erp_connectors.services.places import ERROR, PROCESSED
from erp_connectors.sessions import session
from erp_connectors.states import AckFileStatus, ConnectionStatus, Stage
from erp_connectors.transports.base import Outcomes, Transport
from orderflow.bulk import update_rows
from orderflow.moves import LostRace

NAME_BYTES = 255

log = structlog.get_logger(__name__)


class PollReport(msgspec.Struct):
    """What one poll did; counts of ack files."""

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
    trouble: str = ""
    busy: bool = False

    def lines(self) -> list[str]:
        if self.busy:
            return [f"{self.connection_id}: another worker is polling"]
        counts = [
            f"{value} {name}"
            for name in ("accepted", "refused", "repeated", "conflicts", "unmatched", "malformed", "waiting")
            if (value := getattr(self, name))
        ]
        done = f"{self.connection_id}: {self.listed} ack files" + (f": {', '.join(counts)}" if counts else "")
        return [done, f"  trouble: {self.trouble}"] if self.trouble else [done]


def poll(connection_id: UUID) -> PollReport:
    """One round; ``busy`` where another worker is at it. Never raises `Fault`: it is in ``trouble``."""
    report = PollReport(connection_id)
    lease = leases.take(connection_id, Purpose.POLL)
    if lease is None:
        report.busy = True
        return report
    try:
        with leases.kept(lease):
            _poll(lease, report)
    except LostRace as lost:
        log.warning("poll.lease_lost", connection_id=str(connection_id), reason=str(lost))
        report.busy = True
    return report


def _poll(lease: Lease, report: PollReport) -> None:
    connection = ERPConnection.objects.select_related("org").get(pk=lease.connection_id)
    if connection.status != ConnectionStatus.ACTIVE:
        report.trouble = CONNECTION_DISABLED.meaning
        return
    trouble: Fault | None = None
    try:
        dropzone = dropzone_of(connection)
        if dropzone.ack_path:
            with session(connection.pk, dropzone) as transport:
                trouble = _Round(lease, connection, transport, dropzone.ack_path.rstrip("/"), report).run()
    except Fault as fault:
        trouble = fault
    except LostRace:
        raise
    except Exception as error:
        log.exception("poll.internal_error", connection_id=str(connection.pk))
        trouble = Fault(INTERNAL_ERROR, f"{type(error).__name__}: {error}")
    report.trouble = trouble.message if trouble else ""
    _record_poll(connection, trouble)


def _record_poll(connection: ERPConnection, trouble: Fault | None) -> None:
    now = timezone.now()
    reason = trouble.as_error(stage=Stage.ACK, attempt=0, at=now) if trouble else None
    ERPConnection.objects.filter(pk=connection.pk).update(last_poll_at=now, poll_trouble=reason)


class _Round:
    """The state of one poll: what it works on, and what it has seen."""

    def __init__(
        self, lease: Lease, connection: ERPConnection, transport: Transport, folder: str, report: PollReport
    ) -> None:
        self.lease = lease
        self.connection = connection
        self.connector: Connector[object] = connector_for(connection.connector_type)
        self.transport = transport
        self.folder = folder
        self.report = report
        self.started = timezone.now()
        self.seen: set[str] = set()
        self.trouble: Fault | None = None

    def run(self) -> Fault | None:
        for page in _pages(self._acks(), settings.ACK_BATCH_SIZE):
            self._handle(page)
        self._forget_vanished()
        return self.trouble

    def _acks(self) -> Iterator[Entry]:
        for entry in self.transport.list(self.folder):
            # Printable first: what is no UTF-8 can't be counted in bytes.
            plain = (
                entry.name.isprintable() and "/" not in entry.name and len(entry.name.encode()) <= NAME_BYTES
            )
            if entry.is_file and plain and self.connector.acknowledges(entry.name):
                yield entry

    def _handle(self, page: Sequence[Entry]) -> None:
        self.report.listed += len(page)
        self.seen |= {entry.name for entry in page}
        known = {
            row.name: row
            for row in AckFile.objects.filter(
                connection=self.connection, name__in=[entry.name for entry in page]
            )
            .present()
            .defer("body")
        }
        unmoved = [row for row in known.values() if row.decided_at and _same(row, page)]
        fresh = [entry for entry in page if known.get(entry.name) not in unmoved]
        decided = self._decide(fresh, known)
        self._move([row for row in (*unmoved, *decided) if not row.stays])

    def _decide(self, entries: Sequence[Entry], known: dict[str, AckFile]) -> list[AckFile]:
        if not entries:
            return []
        bodies = self.transport.read(
            [f"{self.folder}/{entry.name}" for entry in entries], max_bytes=settings.ACK_MAX_BYTES
        )
        readings = [
            reading
            for entry, body in zip(entries, bodies, strict=True)
            if (reading := self._understand(entry, body, known.get(entry.name)))
        ]
        crashpoint("acks-read")
        with transaction.atomic():
            leases.renew(self.lease)
            decided = ack_decisions.decide(self.connection, readings, self.report, poll_started=self.started)
        crashpoint("acks-decided")
        return decided

    def _understand(
        self, entry: Entry, body: bytes | Fault, row: AckFile | None
    ) -> Answered | Unreadable | None:
        if isinstance(body, Fault):
            if body.kind is NOT_FOUND:
                return None
            if body.scope is not Scope.FILE:
                self.trouble = body
                return None
            return Unreadable(entry, row, b"", body.message)
        try:
            ack: Ack = self.connector.parse_ack(entry.name, body)
        except AckUnreadable as error:
            return Unreadable(entry, row, body, str(error))
        return Answered(entry, row, body, self.connector.acknowledges(entry.name) or "", ack)

    def _move(self, rows: Sequence[AckFile]) -> None:
        moves = [self._target(row, row.name) for row in rows]
        # A poll that was frozen since it read must not file away what the ERP has written under these names since.
        leases.renew(self.lease)
        outcomes = self.transport.move(moves)
        if any(outcome and outcome.kind is FOLDER_MISSING for outcome in outcomes):
            outcomes = self._move_into_new_folders(moves)
        for i, (row, outcome) in enumerate(zip(rows, outcomes, strict=True)):
            if outcome and outcome.kind is NAME_TAKEN:
                # Neither file is lost: the newcomer gets a name of its own.
                moves[i] = self._target(row, f"{row.name}.{row.pk}")
                (outcomes[i],) = self.transport.move([moves[i]])
        crashpoint("acks-moved-before-commit")
        self._record_moves(rows, moves, outcomes)

    def _target(self, row: AckFile, name: str) -> Move:
        place = ERROR if row.status in (AckFileStatus.MALFORMED, AckFileStatus.UNMATCHED) else PROCESSED
        return Move(f"{self.folder}/{row.name}", f"{self.folder}/{place}/{name}")

    def _move_into_new_folders(self, moves: Sequence[Move]) -> Outcomes:
        try:
            for place in (PROCESSED, ERROR):
                self.transport.make_folder(f"{self.folder}/{place}")
        except Fault as fault:
            # The answers are decided all the same, and the pages behind this one want their turn.
            return [fault] * len(moves)
        return self.transport.move(moves)

    def _record_moves(
        self, rows: Sequence[AckFile], moves: Sequence[Move], outcomes: Sequence[Fault | None]
    ) -> None:
        now = timezone.now()
        for row, move, outcome in zip(rows, moves, outcomes, strict=True):
            if outcome is None or outcome.kind is NOT_FOUND:
                # Absent: an earlier poll was killed after moving it, or somebody took it.
                row.moved_at, row.moved_to = now, move.target
            else:
                # No right to move it: it is remembered as handled. All else is simply tried again.
                row.stays = outcome.kind is PERMISSION_DENIED
                self.trouble = outcome
        update_rows(rows, "moved_at", "moved_to", "stays")
        self.report.moved += sum(1 for row in rows if row.moved_at)

    def _forget_vanished(self) -> None:
        """Rows whose file is no longer listed: moved by a poll that was killed before it said so, or taken away."""
        rows = AckFile.objects.filter(connection=self.connection).present().defer("body")
        gone = [row for row in rows if row.name not in self.seen]
        AckFile.objects.filter(pk__in=[row.pk for row in gone if row.decided_at is None]).delete()
        decided = [row for row in gone if row.decided_at]
        targets = [self._target(row, row.name).target for row in decided]
        for row, target, there in zip(decided, targets, self.transport.exists(targets), strict=True):
            row.moved_at, row.moved_to = timezone.now(), target if there is True else ""
        update_rows(decided, "moved_at", "moved_to")


def _same(row: AckFile, page: Iterable[Entry]) -> bool:
    return any((row.name, row.size, row.mtime) == (entry.name, entry.size, entry.mtime) for entry in page)


def _pages(entries: Iterator[Entry], size: int) -> Iterator[list[Entry]]:
    while page := list(islice(entries, size)):
        # The accepting answer first: the same files end in the same state, whatever order a server lists them in.
        yield sorted(page, key=lambda entry: (entry.name.lower(), entry.name))
