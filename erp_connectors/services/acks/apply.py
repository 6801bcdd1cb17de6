"""Record contradictions and corrections of answers, with a few statements for each batch.

The caller holds the exports locked, each of them once in a batch.
"""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone

from erp_connectors.models import AckFile, ERPExport, ERPExportEvent
from erp_connectors.port_types import Ack
from erp_connectors.services.exports.answer import AnswerToApply
from erp_connectors.services.exports.export_log import log_each
from erp_connectors.states import AckFileStatus, Answer, Stage
from orderflow import clock, tracing
from orderflow.audit import services as audit
from orderflow.audit.models import Action
from orderflow.messages import Message
from orderflow.orders.doubtful_numbers import mark_doubtful
from orderflow.row_updates import update_rows

# The event of an answer that a user recorded: no ack file overrules it.
MANUAL_ANSWER = "manual answer"
# The event of a contradiction that a user has dismissed.
DISMISSED = "dismissed"


def record_conflicts(answers: Sequence[AnswerToApply]) -> None:
    """Record contradicting answers on their exports for a user to decide. One that is recorded already stays."""
    now = timezone.now()
    new = [one for one in answers if not _is_recorded(one)]
    for one in new:
        one.export.conflict_json = _conflict(one, now)
    update_rows([one.export for one in new], "conflict_json")
    _add_events(new, "conflict", now, [one.conflict_message() for one in new])
    _log_conflicts(new)


def clear_conflicts(exports: Sequence[ERPExport]) -> None:
    """Remove conflicts that a further answer has resolved."""
    for export in exports:
        export.conflict_json = None
    update_rows(exports, "conflict_json")


def close_conflict(export: ERPExport) -> None:
    """Record that a user has decided: the export and the files that contradict it need no attention."""
    now = timezone.now()
    ERPExport.objects.filter(pk=export.pk).update(conflict_json=None, updated_at=now)
    export.conflict_json = None
    files = AckFile.objects.filter(export=export, status=AckFileStatus.CONFLICT, dismissed_at=None)
    files.update(dismissed_at=now)


def correct_numbers(answers: Sequence[AnswerToApply]) -> None:
    """Replace recorded ERP numbers by those that take precedence."""
    before = [one.export.erp_order_id for one in answers]
    for one in answers:
        one.export.erp_order_id = one.export.draft_order.erp_order_id = one.ack.erp_order_id or ""
    update_rows([one.export for one in answers], "erp_order_id")
    update_rows([one.export.draft_order for one in answers], "erp_order_id")
    mark_doubtful([one.export.draft_order for one in answers], now=clock.now(), before=before)
    messages = [
        Message("event.erp_number_corrected", number=one.ack.erp_order_id, source=one.source, before=number)
        for one, number in zip(answers, before, strict=True)
    ]
    _add_events(answers, "acked", timezone.now(), messages)
    audit.record_many(
        audit.Entry(
            action=Action.EXPORT_ACKED,
            org_id=one.export.org_id,
            actor=one.recorded_by,
            entity_type="ERPExport",
            entity_id=one.export.pk,
            before={"erp_order_id": number},
            after={"erp_order_id": one.ack.erp_order_id, **({"note": one.note} if one.recorded_by else {})},
        )
        for one, number in zip(answers, before, strict=True)
    )


def replace_refusals(answers: Sequence[AnswerToApply]) -> None:
    """Replace recorded reasons of refusals by those that take precedence."""
    changed = []
    for one in answers:
        reason = one.refusal(at=one.export.answered_at or timezone.now())
        if one.export.error_json != reason:
            one.export.error_json = reason
            changed.append(one.export)
    update_rows(changed, "error_json")


def _conflict(answer: AnswerToApply, now: datetime) -> dict[str, Any]:
    ack = answer.ack
    return {
        "answer": Answer.ACCEPTED if ack.accepted else Answer.REFUSED,
        "erp_order_id": ack.erp_order_id,
        "error": None if ack.accepted else answer.refusal(at=now),
        "file": answer.source,
        "time": now.isoformat(),
    }


def conflicting_ack(conflict: dict[str, Any]) -> Ack:
    """Return the answer that `_conflict` stored."""
    error = conflict["error"] or {}
    given = error.get("params") or {}
    processed_at = error.get("processed_at")
    return Ack(
        accepted=conflict["answer"] == Answer.ACCEPTED,
        erp_order_id=conflict["erp_order_id"],
        error_code=given.get("error_code"),
        message=given.get("message"),
        processed_at=datetime.fromisoformat(processed_at) if processed_at else None,
    )


def _log_conflicts(answers: Sequence[AnswerToApply]) -> None:
    """Write contradictions to the log and to the trace of the push."""
    for one in answers:
        attributes = {"export_id": str(one.export.pk), "source": one.source}
        tracing.note(
            "answer conflict", parent=one.export.trace, since=time.monotonic(), attributes=attributes
        )
    log_each(
        "export.conflict", [(one.export, {"answer": one.summary(), "source": one.source}) for one in answers]
    )


def _is_recorded(answer: AnswerToApply) -> bool:
    recorded, new = answer.export.conflict_json or {}, _conflict(answer, timezone.now())
    return all(recorded.get(key) == new[key] for key in ("answer", "erp_order_id", "file"))


def _add_events(
    answers: Sequence[AnswerToApply], what: str, now: datetime, messages: Sequence[Message]
) -> None:
    ERPExportEvent.objects.bulk_create(
        ERPExportEvent(
            export=one.export,
            stage=Stage.ACK,
            attempt=one.export.attempts,
            what=what,
            actor=one.recorded_by,
            message=message,
            at=now,
        )
        for one, message in zip(answers, messages, strict=True)
    )
