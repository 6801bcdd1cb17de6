"""What a page of ack files means for exports and drafts; runs inside the poll's transaction."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from erp_connectors import counters
from erp_connectors.connectors.base import Connector
from erp_connectors.models import AckFile, ERPConnection, ERPExport
from erp_connectors.port_types import Ack
from erp_connectors.services.acks.contradictions import Judged, settle_contradictions
from erp_connectors.services.acks.file_index import Noted, ledger_name
from erp_connectors.services.exports import transitions
from erp_connectors.services.exports.answer import AnswerToApply
from erp_connectors.states import (
    AckFileStatus,
    Answer,
    Case,
    Decision,
    FailedAs,
    Standing,
    decide_ack,
)
from orderflow import clock
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.row_updates import update_rows

UNANSWERED = (Standing.STAGED, Standing.SENT, Standing.UNSENT)


@dataclass(frozen=True, slots=True)
class Answered:
    """An ack file that was understood."""

    noted: Noted
    body: bytes
    export_filename: str
    ack: Ack


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An ack file that was not understood: perhaps it is still being written, so it is given up only when it stayed

    as it is for as long as ``patience``, and at an earlier poll; None: never.
    """

    noted: Noted
    body: bytes
    why: str
    patience: timedelta | None = timedelta()


Reading = Answered | Unreadable


def decide(
    connection: ERPConnection,
    connector: Connector[object],
    readings: Sequence[Reading],
    *,
    poll_started: datetime,
) -> list[AckFile]:
    """Apply what was read; the row of each, in their order. ``connector`` reads earlier answers once more."""
    _give_up_overwritten([reading.noted for reading in readings])
    rows = [_row(connection, reading.noted) for reading in readings]
    answered = []
    meant = _meant(connection, connector, readings)
    for row, reading in zip(rows, readings, strict=True):
        if isinstance(reading, Unreadable):
            row.export = meant.get(connector.acknowledges(reading.noted.entry.name) or "")
            _judge_unreadable(row, reading, poll_started)
        else:
            answered.append((row, reading))
    _answer(connection, connector, answered)
    _save(rows)
    counters.count_all(counters.Name.ACK_FILES, Counter(row.status for row in rows if row.decided_at))
    return rows


def _answer(
    connection: ERPConnection,
    connector: Connector[object],
    answered: Sequence[tuple[AckFile, Answered]],
) -> None:
    exports = _exports(connection, [reading.export_filename for _, reading in answered])
    replaced = replaced_among(list(exports.values()))
    judged: list[Judged] = []
    for wave in _waves(answered):
        found = [_judge(row, one, exports.get(one.export_filename), replaced) for row, one in wave]
        mine = [one for one in found if one]
        if accepted := [one.given for one in mine if one.decision is Decision.ACCEPT]:
            transitions.accept(accepted)
        if refused := [one.given for one in mine if one.decision is Decision.REFUSE]:
            transitions.refuse(refused)
        judged += mine
    settle_contradictions(judged, connector=connector, replaced=replaced)


def _waves(answered: Sequence[tuple[AckFile, Answered]]) -> Iterator[list[tuple[AckFile, Answered]]]:
    """One answer per export at a time, in their order: a second one meets what the first one did."""
    left = list(answered)
    while left:
        wave: dict[str, tuple[AckFile, Answered]] = {}
        later = [one for one in left if wave.setdefault(one[1].export_filename, one) is not one]
        yield list(wave.values())
        left = later


def _exports(connection: ERPConnection, filenames: Sequence[str]) -> dict[str, ERPExport]:
    """This org's exports by exact file name, also those of a connection that was replaced; locked."""
    # No export is named otherwise, and a database may be unable to look for such a name.
    printable = [name for name in filenames if name.isprintable()]
    found = (
        ERPExport.objects.for_org(connection.org_id)
        .filter(filename__in=printable)
        .select_for_update(of=("self",))
        .defer("payload")
        .order_by("pk")
    )
    exports = {export.filename: export for export in found}
    lock_orders(list(exports.values()))
    return exports


def lock_orders(exports: Sequence[ERPExport]) -> None:
    """Lock the orders of locked exports, and set them anew.

    The statement that waited for an export would return its order as it was before the wait. A user may also push or
    edit an order at the same moment. Exports come before orders, as in every delivery.
    """
    found = DraftOrder.objects.filter(pk__in=[export.draft_order_id for export in exports])
    orders = {order.pk: order for order in found.select_for_update(of=("self",)).order_by("pk")}
    for export in exports:
        export.draft_order = orders[export.draft_order_id]


def _meant(
    connection: ERPConnection, connector: Connector[object], readings: Sequence[Reading]
) -> dict[str, ERPExport]:
    """The exports whose answers can't be read, so that these are shown with them. Nothing of an export changes."""
    unreadable = [reading.noted.entry.name for reading in readings if isinstance(reading, Unreadable)]
    names = {connector.acknowledges(name) or "" for name in unreadable}
    printable = [name for name in names if name and name.isprintable()]
    if not printable:
        return {}
    rows = ERPExport.objects.for_org(connection.org_id).filter(filename__in=printable)
    return {export.filename: export for export in rows.only("id", "filename", "org")}


def replaced_among(exports: Sequence[ERPExport]) -> set[object]:
    """Those with a newer export that may have reached the ERP, and those whose order a person is changing."""
    newest: dict[object, datetime] = {}
    others = ERPExport.objects.filter(draft_order__in=[export.draft_order_id for export in exports])
    for draft_id, created_at in others.exclude(failed_as=FailedAs.NOT_SENT).values_list(
        "draft_order", "created_at"
    ):
        newest[draft_id] = max(created_at, newest.get(draft_id, created_at))
    settled = (DraftStatus.PUSHING, DraftStatus.PUSHED, DraftStatus.ERROR)
    return {
        export.pk
        for export in exports
        if newest.get(export.draft_order_id, export.created_at) > export.created_at
        or export.draft_order.status not in settled
    }


def _give_up_overwritten(noted: Sequence[Noted]) -> None:
    """What was decided and not moved, and is written anew: its row stays as the record of what was read then."""
    old = [one.row for one in noted if one.row and one.row.decided_at]
    for row in old:
        row.moved_at = timezone.now()
    update_rows(old, "moved_at")


def _row(connection: ERPConnection, noted: Noted) -> AckFile:
    if noted.row and noted.row.decided_at is None:
        return noted.row
    name = ledger_name(noted.entry.name)
    return AckFile(connection=connection, org_id=connection.org_id, name=name)


def _judge_unreadable(row: AckFile, reading: Unreadable, poll_started: datetime) -> None:
    if not reading.noted.unchanged or row.unchanged_since is None:
        row.unchanged_since = clock.now()
    _note(row, reading)
    row.reason = reading.why
    if reading.patience is not None and row.unchanged_since < poll_started - reading.patience:
        row.status, row.decided_at = AckFileStatus.MALFORMED, timezone.now()
    else:
        row.status = AckFileStatus.WAITING


def _judge(
    row: AckFile, reading: Answered, export: ERPExport | None, replaced: Collection[object]
) -> Judged | None:
    """None: there is nothing to do with it, or not yet."""
    _note(row, reading)
    row.export = export
    if export is None:
        row.status, row.decided_at = AckFileStatus.UNMATCHED, timezone.now()
        row.reason = f"no export of this org has the file name {ledger_name(reading.export_filename)}"
        return None
    case = Case(export.standing, Answer.ACCEPTED if reading.ack.accepted else Answer.REFUSED)
    same = export.erp_order_id in ("", reading.ack.erp_order_id)
    decision = decide_ack(case, replaced=export.pk in replaced, same_order_id=same)
    if decision is Decision.WAIT:
        row.status, row.reason = AckFileStatus.WAITING, "its export is not written yet"
        return None
    row.status, row.reason, row.decided_at = _STATUS_OF[decision], "", timezone.now()
    given = AnswerToApply(export, reading.ack, row.name)
    return Judged(row, given, decision, first=case.standing in UNANSWERED)


def _note(row: AckFile, reading: Reading) -> None:
    entry = reading.noted.entry
    row.size, row.mtime, row.body = entry.size, entry.mtime, reading.body


_STATUS_OF = {
    Decision.ACCEPT: AckFileStatus.APPLIED,
    Decision.REFUSE: AckFileStatus.APPLIED,
    Decision.NOTHING: AckFileStatus.REPEATED,
    Decision.CONFLICT: AckFileStatus.CONFLICT,
}
_SAVED = ("export", "size", "mtime", "status", "reason", "body", "unchanged_since", "decided_at")


def _save(rows: Sequence[AckFile]) -> None:
    known = [row for row in rows if row.pk]
    AckFile.objects.bulk_create([row for row in rows if not row.pk], batch_size=200)
    update_rows(known, *_SAVED)
