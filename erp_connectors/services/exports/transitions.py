"""Move exports from status to status, many at a time. No other module sets the status of an export.

Each function writes all effects of its transition: the rows (compare and set), the orders' status, events, audit
entries, counters, histograms, notifications, log lines and traces. `exports/transition_table.py` lists them. All
effects are in the caller's transaction: either all of them exist, or none does.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from erp_connectors import counters
from erp_connectors.dropzone_paths import folder_of, join
from erp_connectors.faults import REFUSED_BY_ERP, Fault
from erp_connectors.models import ERPExport, ERPExportEvent
from erp_connectors.outbox.record import note_exports
from erp_connectors.services.exports import transition_table as table
from erp_connectors.services.exports.answer import AnswerToApply
from erp_connectors.services.exports.export_log import log_each
from erp_connectors.services.exports.transition_table import Entity, Transition
from erp_connectors.states import EXPORT_MOVES, AckableState, ExportStatus, Stage
from orderflow import clock, tracing
from orderflow.audit import services as audit
from orderflow.messages import Message, english
from orderflow.orders import transitions as orders
from orderflow.orders.doubtful_numbers import mark_doubtful
from orderflow.row_updates import update_rows, update_rows_where
from orderflow.tenancy.models import User
from orderflow.transitions import IllegalMove, LostRace


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """One export's part of a transition.

    ``values``: columns of its own. ``message``: of its event. ``after``: of its audit entry. ``log``: fields of its log
    line. ``code``: of its fault. ``took``: seconds for the histogram, None if unknown.
    """

    export: ERPExport
    values: Mapping[str, object] = field(default_factory=dict)
    stage: str = ""
    message: Message | None = None
    actor: User | None = None
    after: Mapping[str, Any] = field(default_factory=dict)
    log: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""
    took: float | None = None


def create(exports: Sequence[ERPExport], *, actor: User | None, retry: bool) -> None:
    """Insert exports as PENDING; their orders become PUSHING. Raises `IntegrityError` if a file name is taken."""
    if not exports:
        return
    _apply(
        table.RETRY if retry else table.PUSH,
        [
            _Change(
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
    return _apply(
        table.PUBLISH,
        [
            _Change(
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
    return _apply(
        table.RESOLVE_AS_PUBLISHED,
        [
            _Change(
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
    changes = [_Change(export=export, message=message) for export in exports]
    return _apply(table.RESOLVE_AS_NOT_SENT, changes, now=timezone.now())


def fail(failures: Iterable[tuple[ERPExport, Fault, str]], *, now: datetime) -> list[ERPExport]:
    """PENDING -> FAILED, each for its fault in a stage; the outcome is unknown if the export was staged.

    Return the exports that moved; an answer may have moved others meanwhile.
    """
    not_sent: list[_Change] = []
    unknown: list[_Change] = []
    for export, fault, stage in failures:
        change = _failure(export, fault, stage, now, failed_tries=export.failed_tries)
        (unknown if export.staged_at else not_sent).append(change)
    same = {"next_attempt_at": None}
    return [
        *_apply(table.FAIL, not_sent, now=now, same=same),
        *_apply(table.FAIL_OUTCOME_UNKNOWN, unknown, now=now, same=same),
    ]


def fail_superseded(export: ERPExport, fault: Fault) -> None:
    """PENDING -> FAILED as not sent: an earlier export of its order reached the ERP. Raises `LostRace`."""
    now = timezone.now()
    change = _failure(export, fault, Stage.SETTLE, now)
    _apply(table.FAIL_SUPERSEDED, [change], now=now, same={"next_attempt_at": None}, all_or_none=True)


def return_edited(export: ERPExport) -> None:
    """PUSHED -> ERROR for the order of a superseded export that was edited after its earlier export was sent."""
    _apply(table.RETURN_EDITED, [_Change(export=export)], now=timezone.now())


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
    _apply(table.ACCEPT, changes, now=now, same=same, all_or_none=True)
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
    _apply(table.REFUSE, changes, now=now, same={"answered_at": now}, all_or_none=True)


def mark_unknown(exports: Sequence[ERPExport], fault: Fault, *, destination: str) -> list[ERPExport]:
    """PENDING -> FAILED with outcome unknown, for exports that a restored database takes for waiting."""
    now = timezone.now()
    changes = [_failure(export, fault, Stage.SETTLE, now) for export in exports]
    same = {"next_attempt_at": None, "staged_destination": destination}
    return _apply(table.MARK_UNKNOWN, changes, now=now, same=same)


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
        changes = [_failure(one, fault, Stage.SETTLE, now, message=message) for one in replaced]
        _apply(transition, changes, now=now, same={"next_attempt_at": None})
    orders.restore_as_error(export.draft_order)
    _apply(table.ADOPT, [_failure(export, fault, Stage.SETTLE, now)], now=now)


def _failure(
    export: ERPExport,
    fault: Fault,
    stage: str,
    now: datetime,
    *,
    message: Message | None = None,
    **values: object,
) -> _Change:
    return _Change(
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
) -> _Change:
    """``timed``: it is known when the file was published, so how long the ERP took."""
    export, by_user = answer.export, answer.recorded_by is not None
    proven: dict[str, object] = {}
    if export.status != ExportStatus.SENT:
        path = join(folder_of(export.staged_path), export.filename) if export.staged_path else ""
        proven = {"sent_at": export.sent_at or now, "dropzone_path": export.dropzone_path or path}
    return _Change(
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


def _apply(
    transition: Transition,
    changes: Sequence[_Change],
    *,
    now: datetime,
    same: Mapping[str, object] | None = None,
    all_or_none: bool = False,
) -> list[ERPExport]:
    """Write a transition of many exports with all its effects. Return the exports that moved; others get no effect.

    ``same``: columns that get the same value in all rows. Raises `IllegalMove`, and `LostRace` if ``all_or_none`` and
    not all moved.
    """
    if transition.from_statuses:
        before = {change.export.pk: change.export.status for change in changes}
        moved = _update(transition, changes, same or {})
        entered = sum(before[change.export.pk] != transition.to for change in moved)
    else:
        moved = _insert(transition, changes)
        entered = len(moved)
    if all_or_none and len(moved) != len(changes):
        raise LostRace(Message("export.status_changed"))
    if not moved:
        return []
    exports = [change.export for change in moved]
    _move_orders(transition, exports)
    _add_events(transition, moved, now)
    _audit(transition, moved)
    _count(transition, moved, entered)
    if transition.notifies:
        note_exports(transition.notifies, exports, at=now)
    if transition.log:
        log_each(transition.log, [(change.export, change.log) for change in moved])
    _trace(transition, moved)
    return exports


def _insert(transition: Transition, changes: Sequence[_Change]) -> list[_Change]:
    for change in changes:
        _set(change.export, {**change.values, "status": transition.to, "failed_as": transition.failed_as})
    ERPExport.objects.bulk_create([change.export for change in changes])
    return list(changes)


def _update(transition: Transition, changes: Sequence[_Change], same: Mapping[str, object]) -> list[_Change]:
    """Compare and set: a row that has another status than ``change.export`` stays as it is."""
    groups: dict[tuple[str, str], list[_Change]] = defaultdict(list)
    for change in changes:
        _require_allowed(transition, change.export)
        groups[change.export.status, change.export.failed_as].append(change)
    same = {**same, "status": transition.to, "failed_as": transition.failed_as, "updated_at": timezone.now()}
    moved = set()
    for (status, failed_as), mine in groups.items():
        for change in mine:
            _set(change.export, change.values)
        exports = [change.export for change in mine]
        unchanged = {"status": status, "failed_as": failed_as}
        for export in update_rows_where(exports, *mine[0].values, same=same, where=unchanged):
            _set(export, same)
            moved.add(export.pk)
    return [change for change in changes if change.export.pk in moved]


def _require_allowed(transition: Transition, export: ERPExport) -> None:
    status, failed_as = ExportStatus(export.status), transition.from_failed_as
    allowed = status in transition.from_statuses and transition.to in EXPORT_MOVES[status]
    if not allowed or failed_as not in (None, export.failed_as):
        raise IllegalMove(Message("export.illegal_move", status=status, to=str(transition.to)))


def _set(export: ERPExport, values: Mapping[str, object]) -> None:
    for name, value in values.items():
        setattr(export, name, value)


def _move_orders(transition: Transition, exports: Sequence[ERPExport]) -> None:
    order = transition.order
    if order is None:
        return
    # The database decides: an order that was read with its export may be older than the export that was locked.
    orders.move_all(
        [export.draft_order_id for export in exports], from_statuses=order.from_statuses, to=order.to
    )
    field = ERPExport._meta.get_field("draft_order")
    for export in exports:
        # Only an order that was read together with its export.
        if field.is_cached(export) and export.draft_order.status in order.from_statuses:
            export.draft_order.status = order.to


def _add_events(transition: Transition, changes: Sequence[_Change], now: datetime) -> None:
    if not transition.event:
        return
    ERPExportEvent.objects.bulk_create(
        ERPExportEvent(
            export=change.export,
            at=now,
            stage=transition.stage or change.stage,
            attempt=change.export.attempts,
            what=transition.event,
            actor=change.actor,
            message=change.message,
        )
        for change in changes
    )


def _audit(transition: Transition, changes: Sequence[_Change]) -> None:
    if transition.audit is None:
        return
    of_order = transition.audit_of is Entity.ORDER
    audit.record_many(
        audit.Entry(
            action=transition.audit,
            org_id=change.export.org_id,
            actor=change.actor,
            entity_type=transition.audit_of,
            entity_id=change.export.draft_order_id if of_order else change.export.pk,
            after={"erp_export_id": str(change.export.pk), **change.after} if of_order else {**change.after},
        )
        for change in changes
    )


def _count(transition: Transition, changes: Sequence[_Change], entered: int) -> None:
    counts = [(counters.Name.EXPORTS, str(transition.to), entered)]
    if transition.counts_failure:
        codes = Counter(change.code for change in changes)
        counts += [(counters.Name.FAILURES, code, how_many) for code, how_many in codes.items()]
    took = [change.took for change in changes if change.took is not None]
    counters.add(counts, observed={transition.observes: took} if transition.observes else {})


def _trace(transition: Transition, changes: Sequence[_Change]) -> None:
    if not transition.span:
        return
    now = time.monotonic()
    for change in changes:
        known = {name: change.log[name] for name in ("source", "code") if name in change.log}
        attributes = {"export_id": str(change.export.pk), **known}
        tracing.note(transition.span, parent=change.export.trace, since=now, attributes=attributes)
