"""Decide a page of ack files: write a row for each answer, and move the exports. Runs in the poll's transaction."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from django.db.models import QuerySet
from django.utils import timezone

from erp_connectors import archive, counters
from erp_connectors.models import AckFile, ERPConnection, ERPExport
from erp_connectors.port_types import Ack
from erp_connectors.services.acks.contradictions import DecidedAck, resolve_contradictions
from erp_connectors.services.acks.file_index import ListedAck, stored_name
from erp_connectors.services.exports import transitions
from erp_connectors.services.exports.answer import AnswerToApply
from erp_connectors.states import AckableState, AckFileStatus, Answer, Case, Decision, FailedAs, decide_ack
from orderflow import clock
from orderflow.messages import Message
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.row_updates import update_rows

UNANSWERED = (AckableState.STAGED, AckableState.SENT, AckableState.UNSENT)
_STATUS_OF = {
    Decision.ACCEPT: AckFileStatus.APPLIED,
    Decision.REFUSE: AckFileStatus.APPLIED,
    Decision.NOTHING: AckFileStatus.REPEATED,
    Decision.CONFLICT: AckFileStatus.CONFLICT,
}
_WRITTEN = (
    "export",
    "size",
    "mtime",
    "status",
    "reason",
    "body",
    "body_sha256",
    "answer_json",
    "unchanged_since",
    "decided_at",
)


@dataclass(frozen=True, slots=True)
class ReadAck:
    """An ack file that was understood, with all answers in it."""

    file: ListedAck
    body: bytes
    answers: Sequence[Ack]

    @property
    def unchanged(self) -> bool:
        """True if an earlier poll has read the same content; size and time miss a second write within a second."""
        later = [row.body_sha256 for row in self.file.rows if row.part]
        return self.file.unchanged and (not later or set(later) == {archive.sha256(self.body)})


@dataclass(frozen=True, slots=True)
class UnreadableAck:
    """An ack file that was not understood; perhaps it is still being written.

    It is malformed once it has been unchanged for ``patience`` and since an earlier poll; None: never.
    """

    file: ListedAck
    body: bytes
    why: Message
    patience: timedelta | None = timedelta()
    answers: Sequence[Ack] = ()

    @property
    def unchanged(self) -> bool:
        return self.file.unchanged


@dataclass(frozen=True, slots=True)
class _NewAnswer:
    row: AckFile
    ack: Ack
    export_filename: str


def decide(
    connection: ERPConnection, files: Sequence[ReadAck | UnreadableAck], *, poll_started: datetime
) -> list[list[AckFile]]:
    """Apply all answers in these files. Return the rows of each file, one for each answer, in their order.

    Answers that an earlier poll has decided, in a file that is unchanged since, are not applied again.
    """
    # The ERP has overwritten a file that was decided and not moved: its rows record the earlier content.
    overwritten = [row for read in files if not read.unchanged for row in read.file.rows if row.decided_at]
    now = timezone.now()
    for row in overwritten:
        row.moved_at = now
    update_rows(overwritten, "moved_at")

    of_files, new, changed = [], list[_NewAnswer](), list[AckFile]()
    unreadable = {read.file.export_filename for read in files if isinstance(read, UnreadableAck)}
    # Their pages show the unreadable answers. The exports do not change.
    meant = {
        export.filename: export for export in _exports(connection, unreadable).only("id", "filename", "org")
    }
    for read in files:
        unchanged, rows = read.unchanged, _rows_of(connection, read)
        undecided = [row for row in rows if row.decided_at is None]
        if isinstance(read, UnreadableAck):
            for row in undecided:
                row.export = meant.get(read.file.export_filename)
                _decide_unreadable(row, read, unchanged=unchanged, poll_started=poll_started)
        else:
            new += [
                _NewAnswer(row, ack, ack.export_filename or read.file.export_filename)
                for row, ack in zip(rows, read.answers, strict=True)
                if row.decided_at is None
            ]
        changed += undecided
        of_files.append(rows)
    if new:
        _apply(connection, new)
    known = [row for row in changed if row.pk]
    AckFile.objects.bulk_create([row for row in changed if not row.pk], batch_size=200)
    update_rows(known, *_WRITTEN)
    counters.count_all(counters.Name.ACK_FILES, Counter(row.status for row in changed if row.decided_at))
    return of_files


def _rows_of(connection: ERPConnection, read: ReadAck | UnreadableAck) -> list[AckFile]:
    """Return a row for each answer, of an earlier poll or new. The first one has the body."""
    file = read.file
    known = {row.part: row for row in file.rows if row.moved_at is None}
    # The number of answers in a changed file is unknown while the file is unreadable.
    before = sorted(known) if read.unchanged else []
    parts = range(len(read.answers)) if isinstance(read, ReadAck) else before or [0]
    rows = [
        known.pop(part)
        if part in known
        else AckFile(
            connection=connection, org_id=connection.org_id, name=stored_name(file.entry.name), part=part
        )
        for part in parts
    ]
    for row in rows:
        row.size, row.mtime = file.entry.size, file.entry.mtime
    rows[0].body = read.body
    for row in rows[1:]:
        row.body, row.body_sha256 = None, archive.sha256(read.body)
    # The file had more answers, or was cut into more parts, when it was not decided yet.
    if left := [row.pk for row in known.values() if row.decided_at is None]:
        AckFile.objects.filter(pk__in=left).delete()
    return rows


def _decide_unreadable(row: AckFile, read: UnreadableAck, *, unchanged: bool, poll_started: datetime) -> None:
    if not unchanged or row.unchanged_since is None:
        row.unchanged_since = clock.now()
    row.reason = read.why
    if read.patience is not None and row.unchanged_since < poll_started - read.patience:
        row.status, row.decided_at = AckFileStatus.MALFORMED, timezone.now()
    else:
        row.status = AckFileStatus.WAITING


def _apply(connection: ERPConnection, new: Sequence[_NewAnswer]) -> None:
    """Decide the answers and move their exports. A second answer to an export comes after the first."""
    found_exports = _exports(connection, {one.export_filename for one in new})
    locked = found_exports.select_for_update(of=("self",)).defer("payload").order_by("pk")
    exports = {export.filename: export for export in locked}
    lock_orders(list(exports.values()))
    replaced = replaced_among(list(exports.values()))
    decided: list[DecidedAck] = []
    left = list(new)
    while left:
        firsts: dict[str, _NewAnswer] = {}
        left = [one for one in left if firsts.setdefault(one.export_filename, one) is not one]
        found = [_decide_one(one, exports.get(one.export_filename), replaced) for one in firsts.values()]
        mine = [one for one in found if one]
        if accepted := [one.answer for one in mine if one.decision is Decision.ACCEPT]:
            transitions.accept(accepted)
        if refused := [one.answer for one in mine if one.decision is Decision.REFUSE]:
            transitions.refuse(refused)
        decided += mine
    resolve_contradictions(decided, replaced=replaced)


def _decide_one(new: _NewAnswer, export: ERPExport | None, replaced: Collection[object]) -> DecidedAck | None:
    """Decide one answer, and set its row. Return None if it matches no export, or has to wait."""
    row, ack = new.row, new.ack
    row.export = export
    if export is None:
        row.status, row.decided_at = AckFileStatus.UNMATCHED, timezone.now()
        name = stored_name(new.export_filename)
        row.reason = Message("ack.no_such_export", name=name) if name else Message("ack.names_no_order_file")
        return None
    case = Case(export.ackable_state, Answer.ACCEPTED if ack.accepted else Answer.REFUSED)
    same = export.erp_order_id in ("", ack.erp_order_id)
    decision = decide_ack(case, replaced=export.pk in replaced, same_order_id=same)
    if decision is Decision.WAIT:
        row.status, row.reason = AckFileStatus.WAITING, Message("ack.export_not_written")
        return None
    row.status, row.reason, row.decided_at = _STATUS_OF[decision], None, timezone.now()
    row.answer_json = msgspec.to_builtins(ack)
    answer = AnswerToApply(export, ack, row.name)
    return DecidedAck(row, answer, decision, is_first=case.state in UNANSWERED)


def _exports(connection: ERPConnection, filenames: Iterable[str]) -> QuerySet[ERPExport]:
    """Return this org's exports by exact file name, also those of a connection that was replaced."""
    # No export has another name, and a database may be unable to look for one.
    printable = [name for name in filenames if name and name.isprintable()]
    return ERPExport.objects.for_org(connection.org_id).filter(filename__in=printable)


def lock_orders(exports: Sequence[ERPExport]) -> None:
    """Lock the orders of locked exports, and reload them.

    The statement that waited for an export would return its order as it was before the wait. A user may also push or
    edit an order at the same moment. Exports come before orders, as in every delivery.
    """
    found = DraftOrder.objects.filter(pk__in=[export.draft_order_id for export in exports])
    orders = {order.pk: order for order in found.select_for_update(of=("self",)).order_by("pk")}
    for export in exports:
        export.draft_order = orders[export.draft_order_id]


def replaced_among(exports: Sequence[ERPExport]) -> set[object]:
    """Return the exports with a newer one that may have reached the ERP, and those whose order a user is changing."""
    newest: dict[object, datetime] = {}
    others = ERPExport.objects.filter(draft_order__in=[export.draft_order_id for export in exports])
    for draft_id, created_at in others.exclude(failed_as=FailedAs.NOT_SENT).values_list(
        "draft_order", "created_at"
    ):
        newest[draft_id] = max(created_at, newest.get(draft_id, created_at))
    was_pushed = (DraftStatus.PUSHING, DraftStatus.PUSHED, DraftStatus.ERROR)
    return {
        export.pk
        for export in exports
        if newest.get(export.draft_order_id, export.created_at) > export.created_at
        or export.draft_order.status not in was_pushed
    }
