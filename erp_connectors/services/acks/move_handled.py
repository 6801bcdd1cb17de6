"""Handled ack files go to ``processed/`` or ``error/``; beside each in ``error/`` lies the reason, in plain words."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import structlog
from django.conf import settings
from django.utils import timezone

from erp_connectors import circuit, leases
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
from erp_connectors.services.connections.ack_folders import ERROR, PROCESSED, REASON_SUFFIX
from erp_connectors.states import AckFileStatus
from erp_connectors.transports.base import Outcomes, Presences, Transport
from orderflow import clock
from orderflow.paging import by_key
from orderflow.row_updates import update_rows

# A user of the server has to change something first; a plain failure may be the same. Other faults are tried again
# with each poll.
NOT_ALLOWED = (PERMISSION_DENIED, OPERATION_UNSUPPORTED, RENAME_UNSUPPORTED, REMOTE_FAILURE)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Decided:
    """A file that is done with; ``name`` as the folder has it."""

    name: str
    row: AckFile


class Filing:
    """Moves the decided files of one ack folder out of the way, and keeps account of it."""

    def __init__(self, lease: Lease, transport: Transport, folder: str) -> None:
        self._lease = lease
        self._transport = transport
        self._folder = folder
        self.moved = 0
        self.trouble: Fault | None = None

    def file(self, decided: Sequence[Decided]) -> None:
        moves = [self._move(one.name, one.row, one.row.name) for one in decided]
        # A poll that was frozen since it read must not file away what the ERP has written under these names since.
        leases.renew(self._lease)
        outcomes = self._transport.move(moves)
        if any(outcome and outcome.kind is FOLDER_MISSING for outcome in outcomes):
            outcomes = self._move_into_new_folders(moves)
        for i, (one, outcome) in enumerate(zip(decided, outcomes, strict=True)):
            if outcome and outcome.kind is NAME_TAKEN:
                # Neither file is lost: the newcomer gets a name of its own.
                moves[i] = self._move(one.name, one.row, _numbered(one.row))
                (outcomes[i],) = self._transport.move([moves[i]])
        crashpoint("acks-moved-before-reasons")
        filed = [
            (one.row, move.target) for one, move, out in zip(decided, moves, outcomes, strict=True) if not out
        ]
        self._settle(filed)
        crashpoint("acks-moved-before-commit")
        self._record([one.row for one in decided], outcomes)

    def forget_vanished(self, connection: ERPConnection, listed: Collection[int]) -> None:
        """Rows whose file was not listed: moved by a poll that was killed before it said so, or taken away."""
        present = AckFile.objects.filter(connection=connection).present().values_list("pk", flat=True)
        gone = (pk for pk in by_key(present, key_of=lambda pk: (pk,), size=2000) if pk not in listed)
        for page in list(_pages(gone, settings.ACK_BATCH_SIZE)):
            rows = list(AckFile.objects.filter(pk__in=page).defer("body"))
            AckFile.objects.filter(pk__in=[row.pk for row in rows if row.decided_at is None]).delete()
            self._find([row for row in rows if row.decided_at])

    def _find(self, rows: Sequence[AckFile]) -> None:
        # Looked for under its own number first: the plain name may be an earlier file's.
        numbered = [self._target(row, _numbered(row)) for row in rows]
        plain = [self._target(row, row.name) for row in rows]
        places = zip(rows, numbered, plain, self._there(numbered), self._there(plain), strict=True)
        found = []
        for row, own, first, at_own, at_first in places:
            row.moved_at = timezone.now()
            if target := own if at_own is True else first if at_first is True else "":
                found.append((row, target))
        self._settle(found)
        update_rows(rows, "moved_at", "moved_to")

    def _settle(self, filed: Sequence[tuple[AckFile, str]]) -> None:
        """What was moved is what was read, and its reason lies beside it: only then is it recorded where it lies."""
        altered = self._altered(filed)
        self._hand_back(altered)
        rest = [(row, target) for row, target in filed if (row, target) not in altered]
        for row, target in self._explained(rest):
            row.moved_at, row.moved_to = timezone.now(), target

    def _altered(self, filed: Sequence[tuple[AckFile, str]]) -> list[tuple[AckFile, str]]:
        """Written anew between being read and being moved, which nothing but reading again can tell."""
        bodies = _bodies([row for row, _ in filed])
        whole = [(row, target) for row, target in filed if bodies[row.pk] or row.size == 0]
        found = self._transport.read([target for _, target in whole], max_bytes=settings.ACK_MAX_BYTES)
        return [
            (row, target)
            for (row, target), body in zip(whole, found, strict=True)
            if (body.kind is TOO_LARGE if isinstance(body, Fault) else body != bodies[row.pk])
        ]

    def _hand_back(self, altered: Sequence[tuple[AckFile, str]]) -> None:
        moves = [Move(target, join(self._folder, row.name)) for row, target in altered]
        for (row, target), outcome in zip(altered, self._transport.move(moves), strict=True):
            # The next poll reads it; the row stays as the record of what was read before.
            row.moved_at, row.moved_to = timezone.now(), target if outcome else ""
            if outcome:
                log.warning("ack.unread", ack_file=row.pk, path=target, reason=outcome.message)

    def _there(self, paths: Sequence[str]) -> Presences:
        return self._transport.exists(paths)

    def _move(self, name: str, row: AckFile, new_name: str) -> Move:
        return Move(join(self._folder, name), self._target(row, new_name))

    def _target(self, row: AckFile, name: str) -> str:
        return join(self._folder, ERROR if _is_error(row) else PROCESSED, name)

    def _move_into_new_folders(self, moves: Sequence[Move]) -> Outcomes:
        try:
            for place in (PROCESSED, ERROR):
                self._transport.make_folder(join(self._folder, place))
        except Fault as fault:
            # The answers are decided all the same, and the pages behind this one want their turn.
            return [fault] * len(moves)
        return self._transport.move(moves)

    def _explained(self, filed: Sequence[tuple[AckFile, str]]) -> list[tuple[AckFile, str]]:
        """Those whose reason is written, needs none, or can't be: a link that broke leaves them to the next poll."""
        wrong = [(row, target) for row, target in filed if _is_error(row)]
        outcomes = self._transport.stage(
            [Upload(target + REASON_SUFFIX, _reason(row)) for row, target in wrong]
        )
        broken = {
            row.pk
            for (row, _), fault in zip(wrong, outcomes, strict=True)
            if fault and (fault.scope is Scope.TRANSIENT or fault.kind is DISK_FULL)
        }
        return [(row, target) for row, target in filed if row.pk not in broken]

    def _record(self, rows: Sequence[AckFile], outcomes: Sequence[Fault | None]) -> None:
        for row, outcome in zip(rows, outcomes, strict=True):
            if outcome and outcome.kind is NOT_FOUND:
                # Absent: somebody took it since it was listed.
                row.moved_at, row.moved_to = timezone.now(), ""
            elif outcome:
                self.trouble = outcome
                if outcome.kind in NOT_ALLOWED:
                    _try_later(row)
        update_rows(rows, "moved_at", "moved_to", "move_failures", "move_retry_at")
        self.moved += sum(1 for row in rows if row.moved_at)


def _try_later(row: AckFile) -> None:
    """Rights are often given late, and a file that the ERP holds open is free in a moment."""
    row.move_failures += 1
    row.move_retry_at = clock.now() + circuit.poll_pause(row.move_failures)


def _bodies(rows: Sequence[AckFile]) -> dict[int, bytes]:
    """Of those that an earlier poll read, in one statement."""
    earlier = [row.pk for row in rows if "body" in row.get_deferred_fields()]
    stored = dict(AckFile.objects.filter(pk__in=earlier).values_list("pk", "body")) if earlier else {}
    here = {row.pk: row.body for row in rows if row.pk not in stored}
    return {pk: bytes(body or b"") for pk, body in {**here, **stored}.items()}


def _is_error(row: AckFile) -> bool:
    return row.status in (AckFileStatus.MALFORMED, AckFileStatus.UNMATCHED)


def _numbered(row: AckFile) -> str:
    return numbered_name(row.name, row.pk)


def _reason(row: AckFile) -> bytes:
    """Plain ASCII with the line ends of Windows: it is read on old machines, too."""
    lines = (
        f"{row.name} changed nothing in OrderFlow.",
        "",
        f"Why: {row.reason.rstrip('.')}.",
        "",
        "What to do: write a corrected file, under the name that it should have, into the ack folder again.",
        "Then delete this file and the one that it explains.",
        "",
        f"Read at {timezone.now():%Y-%m-%d %H:%M:%S} UTC.",
        "",
    )
    return "\r\n".join(lines).encode("ascii", "backslashreplace")


def _pages(keys: Iterator[int], size: int) -> Iterator[list[int]]:
    while page := list(islice(keys, size)):
        yield page
