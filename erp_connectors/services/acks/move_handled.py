"""Move handled ack files to ``processed/``, or to ``error/`` if they changed nothing, with the reason beside them."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Container, Sequence
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.utils import timezone

from erp_connectors import circuit, leases
from erp_connectors.connectors.base import AckExample
from erp_connectors.crashpoints import crashpoint
from erp_connectors.dropzone_paths import join, numbered_name
from erp_connectors.faults import (
    DISK_FULL,
    FOLDER_MISSING,
    NAME_TAKEN,
    NOT_FOUND,
    OPERATION_UNSUPPORTED,
    PERMISSION_DENIED,
    REMOTE_FAILURE,
    RENAME_UNSUPPORTED,
    TOO_LARGE,
    Fault,
    Scope,
)
from erp_connectors.leases import Lease
from erp_connectors.models import AckFile, ERPConnection
from erp_connectors.port_types import Move, Upload
from erp_connectors.services.acks.content import keep_body
from erp_connectors.services.connections.ack_folders import ERROR, PROCESSED, REASON_SUFFIX
from erp_connectors.services.exports.batching import by_size
from erp_connectors.states import AckFileStatus
from erp_connectors.transports.base import Outcomes, Transport
from orderflow import clock
from orderflow.messages import english
from orderflow.paging import by_key
from orderflow.row_updates import update_rows

# A user of the server has to change something first; a plain failure may be the same. Other faults are tried again
# with each poll.
NOT_ALLOWED = (PERMISSION_DENIED, OPERATION_UNSUPPORTED, RENAME_UNSUPPORTED, REMOTE_FAILURE)
# Statuses of answers that match no export of ours.
_WRONG = (AckFileStatus.MALFORMED, AckFileStatus.UNMATCHED)
# The most rows, each a parameter, in one statement; at least as many as one file can have.
ROWS_AT_ONCE = 5000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class HandledAck:
    """A file whose answers are decided; ``name`` as in the folder. The first row has the body."""

    name: str
    rows: Sequence[AckFile]

    @property
    def row(self) -> AckFile:
        return self.rows[0]

    @property
    def wrong(self) -> list[AckFile]:
        return [row for row in self.rows if row.status in _WRONG]

    def record(self, moved_to: str) -> None:
        """Set the path of the moved file; empty if it is not known, or if the file is in the ack folder again."""
        now = timezone.now()
        for row in self.rows:
            row.moved_at, row.moved_to = now, moved_to


class AckMover:
    """Move the handled files of one ack folder. ``fault``: why the last of the unmoved files was not moved."""

    def __init__(
        self,
        lease: Lease,
        transport: Transport,
        folder: str,
        *,
        example: Callable[[str], AckExample | None],
    ) -> None:
        """``example`` returns a correct file in place of the malformed file of this name."""
        self._example = example
        self._lease = lease
        self._transport = transport
        self._folder = folder
        self.moved = 0
        self.fault: Fault | None = None

    def move(self, files: Sequence[HandledAck]) -> None:
        moves = [Move(join(self._folder, file.name), self._target(file)) for file in files]
        # A poll that was frozen after reading must not move a file that the ERP has written since under this name.
        leases.renew(self._lease)
        outcomes = self._transport.move(moves)
        if any(outcome and outcome.kind is FOLDER_MISSING for outcome in outcomes):
            outcomes = self._move_into_new_folders(moves)
        for i, (file, outcome) in enumerate(zip(files, outcomes, strict=True)):
            if outcome and outcome.kind is NAME_TAKEN:
                # Neither file is lost: the newcomer gets a name of its own.
                moves[i] = Move(moves[i].source, self._target(file, numbered=True))
                (outcomes[i],) = self._transport.move([moves[i]])
        crashpoint("acks-moved-before-reasons")
        self._confirm(
            [
                (file, move.target)
                for file, move, fault in zip(files, moves, outcomes, strict=True)
                if not fault
            ]
        )
        crashpoint("acks-moved-before-commit")
        for file, outcome in zip(files, outcomes, strict=True):
            if outcome and outcome.kind is NOT_FOUND:
                file.record("")  # it was removed since it was listed
            elif outcome:
                self.fault = outcome
                if outcome.kind in NOT_ALLOWED:
                    _retry_later(file)
        rows = [row for file in files for row in file.rows]
        update_rows(rows, "moved_at", "moved_to", "move_failures", "move_retry_at")
        self.moved += sum(1 for file in files if file.row.moved_at)

    def forget_vanished(
        self, connection: ERPConnection, listed: Collection[int], *, skipped: Container[str] = ()
    ) -> None:
        """Close the rows of files that were not listed: a killed poll moved them, or another program removed them.

        ``skipped``: stored names of files that were listed, but not looked up.
        """
        present = AckFile.objects.filter(connection=connection).present().values_list("pk", "name")
        gone: dict[str, list[int]] = defaultdict(list)
        for pk, name in by_key(present, key_of=lambda row: row[:1], size=2000):
            if pk not in listed and name not in skipped:
                gone[name].append(pk)
        for page in by_size(gone.values(), len, files=settings.ACK_BATCH_SIZE, most=ROWS_AT_ONCE):
            rows = AckFile.objects.filter(pk__in=[pk for pks in page for pk in pks])
            undecided = rows.filter(decided_at=None)
            # A poll moves none of which an answer waits, so what has its name elsewhere is another file.
            never_moved = set(undecided.values_list("name", flat=True))
            keep_body(rows)
            undecided.delete()
            files: dict[str, list[AckFile]] = defaultdict(list)
            for row in rows.defer("body").order_by("part"):
                files[row.name].append(row)
            handled = [HandledAck(name, mine) for name, mine in files.items()]
            self._find([file for file in handled if file.name not in never_moved])
            left = [file for file in handled if file.name in never_moved]
            for file in left:
                file.record("")
            update_rows([row for file in left for row in file.rows], "moved_at", "moved_to")

    def _find(self, files: Sequence[HandledAck]) -> None:
        """Look for files that a killed poll has moved, and record their paths."""
        # The numbered name first: the plain name may be that of an earlier file.
        numbered = [self._target(file, numbered=True) for file in files]
        plain = [self._target(file) for file in files]
        found = []
        there = zip(self._transport.exists(numbered), self._transport.exists(plain), strict=True)
        for file, own, first, (at_own, at_first) in zip(files, numbered, plain, there, strict=True):
            file.record("")
            if target := own if at_own is True else first if at_first is True else "":
                found.append((file, target))
        self._confirm(found)
        update_rows([row for file in files for row in file.rows], "moved_at", "moved_to")

    def _confirm(self, moved: Sequence[tuple[HandledAck, str]]) -> None:
        """Record the paths of moved files if their content is unchanged and their reason is written."""
        # The bodies that earlier polls read, with one statement.
        deferred = [file.row.pk for file, _ in moved if "body" in file.row.get_deferred_fields()]
        stored = dict(AckFile.objects.filter(pk__in=deferred).values_list("pk", "body")) if deferred else {}
        here = {file.row.pk: file.row.body for file, _ in moved if file.row.pk not in deferred}
        bodies = {pk: bytes(body or b"") for pk, body in {**here, **stored}.items()}
        # A file that is not empty and has no body could not be read.
        read = [(file, target) for file, target in moved if bodies[file.row.pk] or file.row.size == 0]
        contents = self._transport.read([target for _, target in read], max_bytes=settings.ACK_MAX_BYTES)
        # Only a second read shows that the ERP overwrote a file between the read and the move.
        altered = [
            (file, target)
            for (file, target), content in zip(read, contents, strict=True)
            if (content.kind is TOO_LARGE if isinstance(content, Fault) else content != bodies[file.row.pk])
        ]
        if altered:
            self._give_back(altered)
        left = {target for _, target in altered}
        if wrong := [(file, target) for file, target in moved if file.wrong and target not in left]:
            left |= self._write_reasons(wrong)
        for file, target in moved:
            if target not in left:
                file.record(target)

    def _give_back(self, altered: Sequence[tuple[HandledAck, str]]) -> None:
        """Move files to the ack folder again for the next poll; their rows record what was read before."""
        moves = [Move(target, join(self._folder, file.row.name)) for file, target in altered]
        for (file, target), outcome in zip(altered, self._transport.move(moves), strict=True):
            file.record(target if outcome else "")
            if outcome:
                log.warning("ack.unread", ack_file=file.row.pk, path=target, reason=outcome.message)

    def _write_reasons(self, wrong: Sequence[tuple[HandledAck, str]]) -> set[str]:
        """Return the files whose reason the next poll must write, because the link broke or the disk is full."""
        uploads = [
            Upload(target + REASON_SUFFIX, _reason(file, self._correct_form(file))) for file, target in wrong
        ]
        return {
            target
            for (_, target), fault in zip(wrong, self._transport.stage(uploads), strict=True)
            if fault and (fault.scope is Scope.TRANSIENT or fault.kind is DISK_FULL)
        }

    def _correct_form(self, file: HandledAck) -> list[str]:
        """Return the lines with a correct file if this one is malformed. The form of an unmatched file is correct."""
        if not any(row.status == AckFileStatus.MALFORMED for row in file.rows):
            return []
        try:
            example = self._example(file.row.name)
            return _lines_of(example) if example else []
        except Exception:
            # A bug of the connector. The file was moved, so its reason must be written without an example.
            log.exception("ack.example_failed", ack_file=file.row.pk)
            return []

    def _move_into_new_folders(self, moves: Sequence[Move]) -> Outcomes:
        try:
            for place in (PROCESSED, ERROR):
                self._transport.make_folder(join(self._folder, place))
        except Fault as fault:
            # The answers are decided without the move, and the next pages must be, too.
            return [fault] * len(moves)
        return self._transport.move(moves)

    def _target(self, file: HandledAck, *, numbered: bool = False) -> str:
        name = numbered_name(file.row.name, file.row.pk) if numbered else file.row.name
        # A restored database looks in processed/ for answers that it has not counted. So one matching answer is enough.
        place = ERROR if len(file.wrong) == len(file.rows) else PROCESSED
        return join(self._folder, place, name)


def _retry_later(file: HandledAck) -> None:
    """Retry the move at growing intervals: rights are often granted late, and the ERP may hold the file open."""
    failures = file.row.move_failures + 1
    retry_at = clock.now() + circuit.poll_pause(failures)
    for row in file.rows:
        row.move_failures, row.move_retry_at = failures, retry_at


def _lines_of(example: AckExample) -> list[str]:
    """Name the result of the example: the content of the malformed file may say the opposite of its name."""
    result = {True: " that accepts the order", False: " that refuses the order", None: ""}[example.accepted]
    return [f"A correct file{result} has the name {example.name} and the content", f"{example.content}", ""]


def _reason(file: HandledAck, correct_form: Sequence[str]) -> bytes:
    """Return the reason as ASCII with Windows line ends, because it is read on old machines, too."""
    if len(file.rows) == 1:
        head = f"{file.row.name} changed nothing in OrderFlow."
        why = [f"Why: {english(file.row.reason)}"]
        what = "a corrected file, under the name that it should have,"
    else:
        head = f"{len(file.wrong)} of the {len(file.rows)} answers in {file.row.name} changed nothing in OrderFlow."
        why = [f"Answer {row.part + 1}: {english(row.reason)}" for row in file.wrong]
        what = "a file with these answers, corrected,"
    lines = (
        head,
        "",
        *why,
        "",
        *correct_form,
        f"What to do: write {what} into the ack folder again.",
        "Then delete this file and the one that it explains.",
        "",
        f"Read at {timezone.now():%Y-%m-%d %H:%M:%S} UTC.",
        "",
    )
    return _in_ascii("\r\n".join(lines)).encode()


def _in_ascii(text: str) -> str:
    """Write other characters as JSON does, which the ERP's programmers know."""
    return re.sub("[^\x00-\x7f]", lambda sign: json.dumps(sign[0])[1:-1], text)
