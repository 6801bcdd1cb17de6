"""What a page of ack files means for exports and drafts; runs inside the poll's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from erp_connectors.documents import Ack, Entry
from erp_connectors.faults import REFUSED_BY_ERP
from erp_connectors.models import AckFile, ERPConnection, ERPExport, ERPExportEvent
from erp_connectors.services.publishing import mark_sent
from erp_connectors.states import (
    AckFileStatus,
    Answer,
    Case,
    Decision,
    ExportStatus,
    FailedAs,
    Stage,
    Standing,
    decide_ack,
)
from orderflow.audit import services as audit
from orderflow.audit.models import Action
from orderflow.orders.models import DraftOrder
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
    exports = _exports(connection, [r.export_filename for r in readings if isinstance(r, Answered)])
    replaced = _replaced(list(exports.values()))
    rows = []
    for reading in readings:
        row = _row(connection, reading)
        if isinstance(reading, Unreadable):
            _judge_unreadable(row, reading, report, poll_started)
        else:
            export = exports.get(reading.export_filename)
            _judge_answer(row, reading, export, export is not None and export.pk in replaced, report)
        rows.append(row)
    _save(rows)
    return [row for row in rows if row.decided_at]


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


def _replaced(exports: Sequence[ERPExport]) -> set[object]:
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
    if reading.row is None or (reading.row.decided_at and reading.row.stays):
        # A file that could not be moved and was written anew is a new answer under the same name.
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


def _judge_answer(
    row: AckFile, reading: Answered, export: ERPExport | None, replaced: bool, report: "PollReport"
) -> None:
    row.size, row.mtime, row.body, row.export = reading.entry.size, reading.entry.mtime, reading.body, export
    if export is None:
        row.status, row.decided_at = AckFileStatus.UNMATCHED, timezone.now()
        row.reason = f"no export of this org has the file name {reading.export_filename}"
        report.unmatched += 1
        return
    case = Case(export.standing, Answer.ACCEPTED if reading.ack.accepted else Answer.REFUSED)
    same = export.erp_order_id in ("", reading.ack.erp_order_id)
    decision = decide_ack(case, replaced=replaced, same_order_id=same)
    if decision is Decision.WAIT:
        row.status, row.reason = AckFileStatus.WAITING, "its export is not written yet"
        report.waiting += 1
        return
    row.decided_at = timezone.now()
    row.status, row.reason = _APPLIED[decision], ""
    _apply(decision, export, reading, report)


_APPLIED = {
    Decision.ACCEPT: AckFileStatus.APPLIED,
    Decision.REFUSE: AckFileStatus.APPLIED,
    Decision.NOTHING: AckFileStatus.REPEATED,
    Decision.CONFLICT: AckFileStatus.CONFLICT,
}


def _apply(decision: Decision, export: ERPExport, reading: Answered, report: "PollReport") -> None:
    if decision is Decision.NOTHING:
        report.repeated += 1
    elif decision is Decision.CONFLICT:
        _note_conflict(export, reading)
        report.conflicts += 1
    else:
        _pass_through_sent(export)
        if decision is Decision.ACCEPT:
            _accept(export, reading.ack)
            report.accepted += 1
        else:
            _refuse(export, reading.ack)
            report.refused += 1


def _pass_through_sent(export: ERPExport) -> None:
    """An answer proves that the file was published, also where the worker could not record it."""
    if export.standing is not Standing.STAGED:
        return
    folder = export.staged_path.rsplit("/", 1)[0]
    mark_sent([export], what="published", detail="proven by the ERP's answer", folder=folder)
    export.refresh_from_db(fields=["status", "sent_at", "draft_order"])


def _accept(export: ERPExport, ack: Ack) -> None:
    now = timezone.now()
    export.advance(
        ExportStatus.ACKED,
        failed_as=FailedAs.NOT_FAILED,
        erp_order_id=ack.erp_order_id or "",
        answered_at=now,
        sent_at=export.sent_at or now,
    )
    draft = export.draft_order
    if draft.status in (DraftStatus.ERROR, DraftStatus.PUSHING):
        draft.advance(DraftStatus.PUSHED)
    DraftOrder.objects.filter(pk=draft.pk).update(erp_order_id=ack.erp_order_id or "")
    _event(export, "acked", f"ERP number {ack.erp_order_id}")
    _audit(export, Action.EXPORT_ACKED, {"erp_order_id": ack.erp_order_id})


def _refuse(export: ERPExport, ack: Ack) -> None:
    now = timezone.now()
    error = refusal(ack, at=now)
    export.advance(
        ExportStatus.FAILED,
        failed_as=FailedAs.REFUSED,
        error_json=error,
        answered_at=now,
        sent_at=export.sent_at or now,
    )
    if export.draft_order.status == DraftStatus.PUSHED:
        export.draft_order.advance(DraftStatus.ERROR)
    _event(export, "refused", f"{ack.error_code or ''} {ack.message or ''}".strip())
    _audit(export, Action.EXPORT_REFUSED, {"error_code": ack.error_code, "message": ack.message})


def refusal(ack: Ack, *, at: datetime) -> dict[str, Any]:
    """The ``error_json`` of an export that the ERP refused."""
    return {
        "code": REFUSED_BY_ERP.code,
        "message": ack.message or REFUSED_BY_ERP.meaning,
        "hint": REFUSED_BY_ERP.hint,
        "stage": Stage.ACK,
        "attempt": 0,
        "time": at.isoformat(),
        "error_code": ack.error_code,
        "processed_at": ack.processed_at.isoformat() if ack.processed_at else None,
    }


def _note_conflict(export: ERPExport, reading: Answered) -> None:
    ack, now = reading.ack, timezone.now()
    export.conflict_json = {
        "answer": Answer.ACCEPTED if ack.accepted else Answer.REFUSED,
        "erp_order_id": ack.erp_order_id,
        "error": None if ack.accepted else refusal(ack, at=now),
        "file": reading.entry.name,
        "time": now.isoformat(),
    }
    ERPExport.objects.filter(pk=export.pk).update(conflict_json=export.conflict_json)
    what = f"accepted as {ack.erp_order_id}" if ack.accepted else f"refused: {ack.error_code} {ack.message}"
    _event(export, "conflict", f"{reading.entry.name} says {what}")


def _event(export: ERPExport, what: str, detail: str) -> None:
    ERPExportEvent.objects.create(
        export=export, stage=Stage.ACK, attempt=export.attempts, what=what, detail=detail, at=timezone.now()
    )


def _audit(export: ERPExport, action: Action, after: dict[str, Any]) -> None:
    audit.record(
        audit.Entry(
            action=action, org_id=export.org_id, entity_type="ERPExport", entity_id=export.pk, after=after
        )
    )


_SAVED = ("export", "size", "mtime", "status", "reason", "body", "decided_at", "stays")


def _save(rows: Sequence[AckFile]) -> None:
    known = set(
        AckFile.objects.filter(pk__in=[row.pk for row in rows if row.pk]).values_list("pk", flat=True)
    )
    AckFile.objects.bulk_create([row for row in rows if row.pk not in known], batch_size=200)
    AckFile.objects.bulk_update([row for row in rows if row.pk in known], _SAVED, batch_size=200)
