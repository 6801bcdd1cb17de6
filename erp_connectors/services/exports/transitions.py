"""Move exports from status to status, many at a time. No other module sets the status of an export.

Each function writes all effects of its transition: the rows (compare and set), the orders' status, events, audit
entries, counters, histograms, notifications, log lines and traces. `exports/transition_table.py` lists them. All
effects are in the caller's transaction: either all of them exist, or none does.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from erp_connectors.dropzone_paths import folder_of, join
from erp_connectors.faults import REFUSED_BY_ERP, Fault
from erp_connectors.models import ERPExport
from erp_connectors.services.exports import transition_table as table
from erp_connectors.services.exports.answer import AnswerToApply
from erp_connectors.services.exports.apply_transition import Change, apply
from erp_connectors.states import AckableState, ExportStatus, Stage
from orderflow import clock
from orderflow.messages import Message, english
from orderflow.orders import transitions as orders
from orderflow.orders.doubtful_numbers import mark_doubtful
from orderflow.row_updates import update_rows
from orderflow.tenancy.models import User
from orderflow.transitions import LostRace


def create(exports: Sequence[ERPExport], *, actor: User | None, retry: bool) -> None:
    """Insert exports as PENDING; their orders become PUSHING. Raises `IntegrityError` if a file name is taken."""
    if not exports:
        return
    apply(
        table.RETRY if retry else table.PUSH,
        [
            Change(
                export=export,
                actor=actor,
                after={"filename": export.filename},
            )
            for export in exports
        ],
        now=exports[0].created_at,
    )


def publish(exports: Sequence[ERPExport], *, folder: str, message: Message | None = None) -> list[ERPExport]:
    """PENDING -> SENT. Return the exports that moved; an answer may have moved others meanwhile.

    ``message``: how it is known that they were published, if our own rename did not show it.
    """
    now, log = clock.now(), {"detail": english(message)} if message else {}
    return apply(
        table.PUBLISH,
        [
            Change(
                export=export,
                values={"dropzone_path": join(folder, export.filename)},
                message=message,
                after={"filename": export.filename},
                log=log,
                took=(now - export.created_at).total_seconds(),
            )
            for export in exports
        ],
        now=now,
        same={"sent_at": now, "next_attempt_at": None, "error_json": None},
    )


def resolve_as_published(exports: Sequence[ERPExport], *, folder: str | None = None) -> list[ERPExport]:
    """FAILED with outcome unknown -> SENT. Return the exports that moved.

    ``folder``: None for the folder in which each was staged.
    """
    now, message = clock.now(), Message("event.had_been_published")
    return apply(
        table.RESOLVE_AS_PUBLISHED,
        [
            Change(
                export=export,
                values={"dropzone_path": join(folder or folder_of(export.staged_path), export.filename)},
                message=message,
                after={"filename": export.filename},
                log={"detail": english(message)},
            )
            for export in exports
        ],
        now=now,
        same={"sent_at": now, "error_json": None},
    )


def resolve_as_not_sent(exports: Sequence[ERPExport]) -> list[ERPExport]:
    """FAILED with outcome unknown -> FAILED as not sent. Return the exports that moved."""
    message = Message("event.not_published")
    changes = [Change(export=export, message=message) for export in exports]
    return apply(table.RESOLVE_AS_NOT_SENT, changes, now=timezone.now())


def fail(failures: Iterable[tuple[ERPExport, Fault, str]], *, now: datetime) -> list[ERPExport]:
    """PENDING -> FAILED, each for its fault in a stage; the outcome is unknown if the export was staged.

    Return the exports that moved; an answer may have moved others meanwhile.
    """
    not_sent: list[Change] = []
    unknown: list[Change] = []
    for export, fault, stage in failures:
        change = _failure(export, fault, stage, now, failed_tries=export.failed_tries)
        (unknown if export.staged_at else not_sent).append(change)
    same = {"next_attempt_at": None}
    return [
        *apply(table.FAIL, not_sent, now=now, same=same),
        *apply(table.FAIL_OUTCOME_UNKNOWN, unknown, now=now, same=same),
    ]


def fail_superseded(export: ERPExport, fault: Fault) -> None:
    """PENDING -> FAILED as not sent: an earlier export of its order reached the ERP. Raises `LostRace`."""
    now = timezone.now()
    change = _failure(export, fault, Stage.RESOLVE, now)
    apply(table.FAIL_SUPERSEDED, [change], now=now, same={"next_attempt_at": None}, all_or_none=True)


def return_edited(export: ERPExport) -> None:
    """PUSHED -> ERROR for the order of a superseded export that was edited after its earlier export was sent."""
    apply(table.RETURN_EDITED, [Change(export=export)], now=timezone.now())


def accept(answers: Sequence[AnswerToApply]) -> None:
    """SENT or FAILED -> ACKED with the ERP's number, for locked exports, each once. Raises `LostRace`."""
    now = clock.now()
    just_published = _publish_staged([one.export for one in answers])
    changes = [
        _answered(
            one,
            now,
            values={"erp_order_id": one.ack.erp_order_id or ""},
            message=Message("event.erp_number", number=one.ack.erp_order_id),
            after={"erp_order_id": one.ack.erp_order_id},
            timed=one.export.pk not in just_published,
        )
        for one in answers
    ]
    # An order that is done has no error; the timeline tells what had gone wrong before.
    same = {"answered_at": now, "error_json": None}
    apply(table.ACCEPT, changes, now=now, same=same, all_or_none=True)
    drafts = [one.export.draft_order for one in answers]
    for one in answers:
        one.export.draft_order.erp_order_id = one.export.erp_order_id
    update_rows(drafts, "erp_order_id")
    mark_doubtful(drafts, now=now)


def refuse(answers: Sequence[AnswerToApply]) -> None:
    """SENT or FAILED -> FAILED for the ERP's reason, for locked exports, each once. Raises `LostRace`."""
    now = clock.now()
    just_published = _publish_staged([one.export for one in answers])
    changes = [
        _answered(
            one,
            now,
            values={"error_json": one.refusal(at=now)},
            message=one.refusal_message(),
            after={"error_code": one.ack.error_code, "message": one.ack.message},
            timed=one.export.pk not in just_published,
        )
        for one in answers
    ]
    apply(table.REFUSE, changes, now=now, same={"answered_at": now}, all_or_none=True)


def mark_unknown(exports: Sequence[ERPExport], fault: Fault, *, destination: str) -> list[ERPExport]:
    """PENDING -> FAILED with outcome unknown, for exports that a restored database takes for waiting."""
    now = timezone.now()
    changes = [_failure(export, fault, Stage.RESOLVE, now) for export in exports]
    same = {"next_attempt_at": None, "staged_destination": destination}
    return apply(table.MARK_UNKNOWN, changes, now=now, same=same)


def adopt(export: ERPExport, fault: Fault) -> None:
    """Insert an export that a restored database lacks as FAILED with outcome unknown; its order becomes ERROR.

    Older exports of the order that are PENDING become FAILED as not sent, SENT ones become FAILED as refused.
    """
    now = timezone.now()
    older = ERPExport.objects.filter(draft_order=export.draft_order).defer("payload")
    waiting, sent = (
        list(older.filter(status=status)) for status in (ExportStatus.PENDING, ExportStatus.SENT)
    )
    message = Message("event.newer_file_in_archive")
    for transition, replaced in ((table.REPLACE_WAITING, waiting), (table.REPLACE_SENT, sent)):
        changes = [_failure(one, fault, Stage.RESOLVE, now, message=message) for one in replaced]
        apply(transition, changes, now=now, same={"next_attempt_at": None})
    orders.restore_as_error(export.draft_order)
    apply(table.ADOPT, [_failure(export, fault, Stage.RESOLVE, now)], now=now)


def _failure(
    export: ERPExport,
    fault: Fault,
    stage: str,
    now: datetime,
    *,
    message: Message | None = None,
    **values: object,
) -> Change:
    return Change(
        export=export,
        values={"error_json": fault.as_error(stage=stage, attempt=export.attempts, at=now), **values},
        stage=stage,
        message=message or fault.as_message(),
        after={"code": fault.code},
        log=fault.as_log(stage=stage, attempt=export.attempts),
        code=fault.code,
    )


def _answered(
    answer: AnswerToApply,
    now: datetime,
    *,
    values: Mapping[str, object],
    message: Message | None,
    after: Mapping[str, Any],
    timed: bool,
) -> Change:
    """``timed``: it is known when the file was published, so how long the ERP took."""
    export, by_user = answer.export, answer.recorded_by is not None
    proven: dict[str, object] = {}
    if export.status != ExportStatus.SENT:
        path = join(folder_of(export.staged_path), export.filename) if export.staged_path else ""
        proven = {"sent_at": export.sent_at or now, "dropzone_path": export.dropzone_path or path}
    return Change(
        export=export,
        values={**values, **proven},
        message=message,
        actor=answer.recorded_by,
        after={**after, "note": answer.note} if by_user else after,
        log={"answer": answer.summary(), "source": answer.source},
        code="" if answer.ack.accepted else REFUSED_BY_ERP.code,
        took=(now - export.sent_at).total_seconds() if timed and export.sent_at and not by_user else None,
    )


def _publish_staged(exports: Sequence[ERPExport]) -> set[UUID]:
    """Move STAGED exports to SENT: an answer proves that the file was published, even if no worker recorded it.

    Return the ids of these exports.
    """
    staged = [export for export in exports if export.ackable_state is AckableState.STAGED]
    message = Message("event.proven_by_answer")
    for folder in {folder_of(export.staged_path) for export in staged}:
        mine = [export for export in staged if folder_of(export.staged_path) == folder]
        if len(publish(mine, folder=folder, message=message)) != len(mine):
            raise LostRace(Message("export.status_changed"))
    return {export.pk for export in staged}
