"""What the ERP's answers do to exports and orders, many at a time: statements per batch, not per answer.

The caller holds the exports locked, each of them once in a batch.
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models.functions import Coalesce
from django.utils import timezone

from erp_connectors import counters
from erp_connectors.faults import REFUSED_BY_ERP
from erp_connectors.models import AckFile, ERPExport, ERPExportEvent
from erp_connectors.outbox.events import Event
from erp_connectors.outbox.record import note_exports
from erp_connectors.port_types import Ack
from erp_connectors.services.exports.export_log import tell_each
from erp_connectors.services.exports.transitions import mark_sent
from erp_connectors.states import AckFileStatus, Answer, ExportStatus, FailedAs, Stage, Standing
from orderflow import clock, tracing
from orderflow.audit import services as audit
from orderflow.audit.models import Action
from orderflow.orders.doubtful_numbers import mark_doubtful
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.row_updates import update_rows
from orderflow.tenancy.models import User
from orderflow.transitions import LostRace

# The event of what a person recorded: no ack file overrules that.
BY_HAND = "by hand"
# The event of a contradiction that a person has seen to.
HANDLED = "handled"


@dataclass(frozen=True, slots=True)
class Given:
    """An answer to an export; ``source``: the file it came in, or who told it, with a note."""

    export: ERPExport
    ack: Ack
    source: str
    told_by: User | None = None
    note: str = ""


def accept_all(given: Sequence[Given]) -> None:
    """ACKED with the ERP's number, and the orders PUSHED."""
    if not given:
        return
    now, exports = clock.now(), [one.export for one in given]
    _pass_through_sent(exports)
    _advance(exports, ExportStatus.ACKED, now, failed_as=FailedAs.NOT_FAILED)
    for one in given:
        one.export.erp_order_id = one.export.draft_order.erp_order_id = one.ack.erp_order_id or ""
        # What had gone wrong before is in the timeline; an order that is done has no error.
        one.export.error_json = None
    update_rows(exports, "erp_order_id", "error_json")
    drafts = [export.draft_order for export in exports]
    update_rows(drafts, "erp_order_id")
    mark_doubtful(drafts, now=now)
    for frm in (DraftStatus.ERROR, DraftStatus.PUSHING):
        _advance_drafts(drafts, frm, DraftStatus.PUSHED)
    _add_events(given, "acked", now, [f"ERP number {one.ack.erp_order_id}" for one in given])
    _audit(given, Action.EXPORT_ACKED, [{"erp_order_id": one.ack.erp_order_id} for one in given])
    _observe_answers(given, now)
    _tell("acked", given)


def refuse_all(given: Sequence[Given]) -> None:
    """FAILED for the ERP's reason, and the orders in ERROR."""
    if not given:
        return
    now, exports = clock.now(), [one.export for one in given]
    _pass_through_sent(exports)
    _advance(exports, ExportStatus.FAILED, now, failed_as=FailedAs.REFUSED)
    for one in given:
        one.export.error_json = refusal(one.ack, attempt=one.export.attempts, at=now)
    update_rows(exports, "error_json")
    _advance_drafts([export.draft_order for export in exports], DraftStatus.PUSHED, DraftStatus.ERROR)
    counters.count(counters.Name.FAILURES, REFUSED_BY_ERP.code, len(given))
    reasons = [f"{one.ack.error_code or ''} {one.ack.message or ''}".strip() for one in given]
    _add_events(given, "refused", now, reasons)
    note_exports(Event.EXPORT_REFUSED, exports, at=now)
    _audit(
        given,
        Action.EXPORT_REFUSED,
        [{"error_code": one.ack.error_code, "message": one.ack.message} for one in given],
    )
    _observe_answers(given, now)
    _tell("refused", given)


def _tell(what: str, given: Sequence[Given]) -> None:
    """In the log, and in the trace of the push."""
    for one in given:
        attributes = {"export_id": str(one.export.pk), "file": one.source}
        tracing.note(f"answer {what}", parent=one.export.trace, since=time.monotonic(), attributes=attributes)
    tell_each(
        f"export.{what}", [(one.export, {"answer": _said(one.ack), "source": one.source}) for one in given]
    )


def _observe_answers(given: Sequence[Given], now: datetime) -> None:
    """How long the ERP took; what somebody recorded by hand says nothing of that."""
    sent = [one.export.sent_at for one in given if one.told_by is None]
    counters.observe(counters.Name.ACK, [(now - at).total_seconds() for at in sent if at])


def note_conflicts(given: Sequence[Given]) -> None:
    """Recorded on the export for a person; nothing else changes. One that is recorded already stays as it is."""
    now = timezone.now()
    new = [one for one in given if not _is_noted(one)]
    for one in new:
        one.export.conflict_json = _conflict(one, now)
    update_rows([one.export for one in new], "conflict_json")
    _add_events(new, "conflict", now, [f"{one.source} says {_said(one.ack)}" for one in new])
    _tell("conflict", new)


def drop_conflicts(exports: Sequence[ERPExport]) -> None:
    """A further answer showed that there is none."""
    for export in exports:
        export.conflict_json = None
    update_rows(exports, "conflict_json")


def conflict_seen_to(export: ERPExport) -> None:
    """A person has decided: neither the export nor the files that contradict it ask for anybody any more."""
    now = timezone.now()
    ERPExport.objects.filter(pk=export.pk).update(conflict_json=None, updated_at=now)
    export.conflict_json = None
    files = AckFile.objects.filter(export=export, status=AckFileStatus.CONFLICT, handled_at=None)
    files.update(handled_at=now)


def correct_numbers(given: Sequence[Given]) -> None:
    """Of several ERP numbers another one counts than was recorded."""
    before = [one.export.erp_order_id for one in given]
    for one in given:
        one.export.erp_order_id = one.export.draft_order.erp_order_id = one.ack.erp_order_id or ""
    update_rows([one.export for one in given], "erp_order_id")
    update_rows([one.export.draft_order for one in given], "erp_order_id")
    mark_doubtful([one.export.draft_order for one in given], now=clock.now(), before=before)
    details = [
        f"ERP number {one.ack.erp_order_id} by {one.source}, instead of {number}"
        for one, number in zip(given, before, strict=True)
    ]
    _add_events(given, "acked", timezone.now(), details)
    _audit(
        given,
        Action.EXPORT_ACKED,
        [{"erp_order_id": one.ack.erp_order_id} for one in given],
        before=[{"erp_order_id": number} for number in before],
    )


def restate_refusals(given: Sequence[Given]) -> None:
    """Of several reasons another one counts than was recorded."""
    changed = []
    for one in given:
        reason = refusal(one.ack, attempt=one.export.attempts, at=one.export.answered_at or timezone.now())
        if one.export.error_json != reason:
            one.export.error_json = reason
            changed.append(one.export)
    update_rows(changed, "error_json")


def refusal(ack: Ack, *, attempt: int, at: datetime) -> dict[str, Any]:
    """The ``error_json`` of an export that the ERP refused."""
    return {
        "code": REFUSED_BY_ERP.code,
        "message": ack.message or REFUSED_BY_ERP.meaning,
        "hint": REFUSED_BY_ERP.hint,
        "stage": Stage.ACK,
        "attempt": attempt,
        "time": at.isoformat(),
        "error_code": ack.error_code,
        "processed_at": ack.processed_at.isoformat() if ack.processed_at else None,
    }


def _pass_through_sent(exports: Sequence[ERPExport]) -> None:
    """An answer proves that the file was published, also where the worker could not record it."""
    by_folder: dict[str, list[ERPExport]] = defaultdict(list)
    for export in exports:
        if export.standing is Standing.STAGED:
            by_folder[export.staged_path.rsplit("/", 1)[0]].append(export)
    for folder, staged in by_folder.items():
        mark_sent(staged, what="published", detail="proven by the ERP's answer", folder=folder)
        for export in staged:
            export.status = ExportStatus.SENT
            if export.draft_order.status == DraftStatus.PUSHING:
                export.draft_order.status = DraftStatus.PUSHED


def _advance(exports: Sequence[ERPExport], to: ExportStatus, now: datetime, *, failed_as: FailedAs) -> None:
    for frm in {ExportStatus(export.status) for export in exports}:
        mine = [export for export in exports if export.status == frm]
        moved = ERPExport.objects.filter(pk__in=[export.pk for export in mine]).advance(
            to, frm=frm, failed_as=failed_as, answered_at=now, sent_at=Coalesce("sent_at", now)
        )
        if moved != len(mine):
            raise LostRace(f"{len(mine) - moved} exports are no longer {frm}.")
    for export in exports:
        export.status, export.failed_as, export.answered_at = to, failed_as, now
        export.sent_at = export.sent_at or now


def _advance_drafts(drafts: Sequence[DraftOrder], frm: DraftStatus, to: DraftStatus) -> None:
    mine = [draft for draft in drafts if draft.status == frm]
    DraftOrder.objects.advance_all([draft.pk for draft in mine], frm=frm, to=to)
    for draft in mine:
        draft.status = to


def _conflict(given: Given, now: datetime) -> dict[str, Any]:
    ack = given.ack
    return {
        "answer": Answer.ACCEPTED if ack.accepted else Answer.REFUSED,
        "erp_order_id": ack.erp_order_id,
        "error": None if ack.accepted else refusal(ack, attempt=given.export.attempts, at=now),
        "file": given.source,
        "time": now.isoformat(),
    }


def answer_of(conflict: dict[str, Any]) -> Ack:
    """The answer that a ``conflict_json`` holds."""
    error = conflict["error"] or {}
    processed_at = error.get("processed_at")
    return Ack(
        accepted=conflict["answer"] == Answer.ACCEPTED,
        erp_order_id=conflict["erp_order_id"],
        error_code=error.get("error_code"),
        message=error.get("message"),
        processed_at=datetime.fromisoformat(processed_at) if processed_at else None,
    )


def _is_noted(given: Given) -> bool:
    noted, now = given.export.conflict_json or {}, _conflict(given, timezone.now())
    return all(noted.get(key) == now[key] for key in ("answer", "erp_order_id", "file"))


def _said(ack: Ack) -> str:
    return f"accepted as {ack.erp_order_id}" if ack.accepted else f"refused: {ack.error_code} {ack.message}"


def _add_events(given: Sequence[Given], what: str, now: datetime, details: Sequence[str]) -> None:
    ERPExportEvent.objects.bulk_create(
        ERPExportEvent(
            export=one.export, stage=Stage.ACK, attempt=one.export.attempts, what=what, detail=detail, at=now
        )
        for one, detail in zip(given, details, strict=True)
    )


def _audit(
    given: Sequence[Given],
    action: Action,
    after: Sequence[dict[str, Any]],
    *,
    before: Sequence[dict[str, Any] | None] = (),
) -> None:
    audit.record_many(
        audit.Entry(
            action=action,
            org_id=one.export.org_id,
            actor=one.told_by,
            entity_type="ERPExport",
            entity_id=one.export.pk,
            before=earlier,
            after={**values, "note": one.note} if one.told_by else values,
        )
        for one, values, earlier in zip(given, after, before or [None] * len(given), strict=True)
    )
