"""What a page of ack files means for exports and drafts; runs inside the poll's transaction."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.utils import timezone

from erp_connectors.documents import Ack, Entry
from erp_connectors.models import AckFile, ERPConnection, ERPExport
from erp_connectors.services.answers import Given, accept_all, note_conflicts, refuse_all
from erp_connectors.states import (
    AckFileStatus,
    Answer,
    Case,
    Decision,
    FailedAs,
    decide_ack,
)
from orderflow.bulk import update_rows
from orderflow.orders.states import DraftStatus

if TYPE_CHECKING:
    from erp_connectors.services.acks import PollReport


@dataclass(frozen=True, slots=True)
class Answered:
    """An ack file that was understood."""

    entry: Entry
    row: AckFile | None
    body: bytes
    export_filename: str
    ack: Ack


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An ack file that was not understood: perhaps still being written."""

    entry: Entry
    row: AckFile | None
    body: bytes
    why: str


def decide(
    connection: ERPConnection,
    readings: Sequence[Answered | Unreadable],
    report: "PollReport",
    *,
    poll_started: datetime,
) -> list[AckFile]:
    """Apply what was read; returns the files that are settled and may be moved."""
    answered = [reading for reading in readings if isinstance(reading, Answered)]
    exports = _exports(connection, [reading.export_filename for reading in answered])
    replaced = replaced_among(list(exports.values()))
    rows = {id(reading): _row(connection, reading) for reading in readings}
    for reading in readings:
        if isinstance(reading, Unreadable):
            _judge_unreadable(rows[id(reading)], reading, report, poll_started)
    for wave in _waves(answered):
        judged = [
            _judge(rows[id(one)], one, exports.get(one.export_filename), replaced, report) for one in wave
        ]
        _apply([(decision, given) for decision, given in judged if given], report)
    _save(list(rows.values()))
    return [row for row in rows.values() if row.decided_at]


def _waves(answered: Sequence[Answered]) -> Iterator[list[Answered]]:
    """One answer per export at a time, in their order: a second one meets what the first one did."""
    left = list(answered)
    while left:
        wave: dict[str, Answered] = {}
        later = [one for one in left if wave.setdefault(one.export_filename, one) is not one]
        yield list(wave.values())
        left = later


def _exports(connection: ERPConnection, filenames: Sequence[str]) -> dict[str, ERPExport]:
    """This org's exports by exact file name, also those of a connection that was replaced; locked."""
    found = (
        ERPExport.objects.for_org(connection.org_id)
        .filter(filename__in=filenames)
        .select_for_update(of=("self",))
        .select_related("draft_order")
        .defer("payload")
        .order_by("pk")
    )
    return {export.filename: export for export in found}


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


def _row(connection: ERPConnection, reading: Answered | Unreadable) -> AckFile:
    entry = reading.entry
    if reading.row is None or reading.row.decided_at:
        # What was decided is not read again unless it was written anew: a new answer under the same name.
        row = reading.row or AckFile(connection=connection, org_id=connection.org_id, name=entry.name)
        row.decided_at, row.stays, row.size, row.mtime = None, False, -1, -1
        return row
    return reading.row


def _judge_unreadable(
    row: AckFile, reading: Unreadable, report: "PollReport", poll_started: datetime
) -> None:
    unchanged = (row.size, row.mtime) == (reading.entry.size, reading.entry.mtime)
    row.size, row.mtime, row.body, row.reason = (
        reading.entry.size,
        reading.entry.mtime,
        reading.body,
        reading.why,
    )
    if unchanged and row.first_seen_at < poll_started:
        row.status, row.decided_at = AckFileStatus.MALFORMED, timezone.now()
        report.malformed += 1
    else:
        row.status = AckFileStatus.WAITING
        report.waiting += 1


def _judge(
    row: AckFile,
    reading: Answered,
    export: ERPExport | None,
    replaced: Collection[object],
    report: "PollReport",
) -> tuple[Decision, Given | None]:
    row.size, row.mtime, row.body, row.export = reading.entry.size, reading.entry.mtime, reading.body, export
    if export is None:
        row.status, row.decided_at = AckFileStatus.UNMATCHED, timezone.now()
        row.reason = f"no export of this org has the file name {reading.export_filename}"
        report.unmatched += 1
        return Decision.WAIT, None
    case = Case(export.standing, Answer.ACCEPTED if reading.ack.accepted else Answer.REFUSED)
    same = export.erp_order_id in ("", reading.ack.erp_order_id)
    decision = decide_ack(case, replaced=export.pk in replaced, same_order_id=same)
    if decision is Decision.WAIT:
        row.status, row.reason = AckFileStatus.WAITING, "its export is not written yet"
        report.waiting += 1
    else:
        row.status, row.reason, row.decided_at = _STATUS_OF[decision], "", timezone.now()
    return decision, Given(export, reading.ack, reading.entry.name)


_STATUS_OF = {
    Decision.ACCEPT: AckFileStatus.APPLIED,
    Decision.REFUSE: AckFileStatus.APPLIED,
    Decision.NOTHING: AckFileStatus.REPEATED,
    Decision.CONFLICT: AckFileStatus.CONFLICT,
}


def _apply(decided: Sequence[tuple[Decision, Given]], report: "PollReport") -> None:
    by_decision: dict[Decision, list[Given]] = defaultdict(list)
    for decision, given in decided:
        by_decision[decision].append(given)
    accept_all(by_decision[Decision.ACCEPT])
    refuse_all(by_decision[Decision.REFUSE])
    note_conflicts(by_decision[Decision.CONFLICT])
    report.accepted += len(by_decision[Decision.ACCEPT])
    report.refused += len(by_decision[Decision.REFUSE])
    report.conflicts += len(by_decision[Decision.CONFLICT])
    report.repeated += len(by_decision[Decision.NOTHING])


_SAVED = ("export", "size", "mtime", "status", "reason", "body", "decided_at", "stays")


def _save(rows: Sequence[AckFile]) -> None:
    known = set(
        AckFile.objects.filter(pk__in=[row.pk for row in rows if row.pk]).values_list("pk", flat=True)
    )
    AckFile.objects.bulk_create([row for row in rows if row.pk not in known], batch_size=200)
    update_rows([row for row in rows if row.pk in known], *_SAVED)
