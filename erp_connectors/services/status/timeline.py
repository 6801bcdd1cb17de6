"""Timeline of an order from approval to ERP number: who, when, what, how long it took.

The sources are the audit log, the exports' events and the ack files. The number of statements is fixed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter

from django.db.models import Q

from erp_connectors.models import AckFile, ERPExport, ERPExportEvent
from erp_connectors.services.status.event_texts import (
    ACK_FILED,
    ACK_FOUND,
    ACK_REMOVED,
    EVENTS_REMOVED,
    FILE_REMOVED,
    Tone,
    event_text,
)
from erp_connectors.states import AckFileStatus
from orderflow.audit.models import Action, AuditLog
from orderflow.durations import duration
from orderflow.messages import Message, text
from orderflow.orders.models import DraftOrder

LONGEST = 500
APPROVALS = (Action.DRAFT_APPROVED, Action.APPROVAL_REVERTED)
PUBLISHED = "published"
PUSHES = (Action.DRAFT_PUSH_REQUESTED, Action.DRAFT_PUSH_RETRIED)


@dataclass(frozen=True, slots=True)
class Step:
    """``code`` as recorded, ``said`` its text, ``path`` the file that it is about, ``detail`` a sentence or a label.

    ``attempt`` is 0 and ``export`` None if there is none.
    """

    at: datetime
    code: str
    said: str
    tone: Tone
    who: str = ""
    path: str = ""
    detail: str = ""
    attempt: int = 0
    export: ERPExport | None = None
    after: str = ""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Oldest first; ``cut``: there is more than is shown, and the newest is shown."""

    steps: tuple[Step, ...]
    cut: bool = False


def exports_of(draft: DraftOrder) -> list[ERPExport]:
    """Return all exports of an order, oldest first, with the columns that a timeline and a status summary need."""
    rows = draft.exports.defer("payload").select_related("connection", "requested_by", "org")
    exports = list(rows.order_by("created_at", "pk"))
    for export in exports:
        export.draft_order = draft
    return exports


def timeline(draft: DraftOrder, exports: Sequence[ERPExport], *, one: bool = False) -> Timeline:
    """``exports``: all of the order's; or ``one`` of them, with what led to it."""
    requests = _approvals_and_pushes(draft, exports)
    if one:
        requests = _requests_before(exports[0], requests)
    events, cut = _events(exports)
    steps = [*requests, *_without_pushes(events, requests), *_acks(exports), *_removals(exports)]
    steps.sort(key=attrgetter("at"))
    return Timeline(tuple(_timed(steps)), cut)


def ack_files_of(exports: Sequence[ERPExport]) -> list[AckFile]:
    """Return the ack files of these exports, also unreadable ones; oldest first, without content."""
    if not exports:
        return []
    named = Q()
    for export in exports:
        named |= Q(name__icontains=export.filename)
    # Few rows have such a status, so that looking into their names costs little.
    not_understood = Q(org=exports[0].org_id, export=None, status__in=NOT_UNDERSTOOD)
    mine = AckFile.objects.filter(Q(export__in=exports) | not_understood & named)
    newest = mine.defer("body").order_by("-first_seen_at", "-pk")[:LONGEST]
    return list(reversed(newest))


NOT_UNDERSTOOD = (AckFileStatus.WAITING, AckFileStatus.MALFORMED)


def _approvals_and_pushes(draft: DraftOrder, exports: Sequence[ERPExport]) -> list[Step]:
    entries = (
        AuditLog.objects.for_org(draft.org_id)
        .filter(entity_type="DraftOrder", entity_id=str(draft.pk), action__in=(*APPROVALS, *PUSHES))
        .select_related("actor")
        .order_by("-created_at")[:LONGEST]
    )
    by_id = {str(export.pk): export for export in exports}
    steps = []
    for entry in reversed(entries):
        export = by_id.get(str((entry.after or {}).get("erp_export_id")))
        if entry.action in PUSHES and export is None:
            continue
        code = "pushed" if entry.action == Action.DRAFT_PUSH_REQUESTED else entry.action
        who = entry.actor.email if entry.actor else ""
        steps.append(_step(entry.created_at, code, who=who, export=export))
    return _with_an_approval(draft, steps)


def _with_an_approval(draft: DraftOrder, steps: list[Step]) -> list[Step]:
    """An order that came into the database approved has no entry of it; its row says who and when."""
    if draft.approved_at is None or any(step.code == Action.DRAFT_APPROVED for step in steps):
        return steps
    who = draft.approved_by.email if draft.approved_by else ""
    return [_step(draft.approved_at, Action.DRAFT_APPROVED, who=who), *steps]


def _requests_before(export: ERPExport, steps: Sequence[Step]) -> list[Step]:
    """The approval that it was sent under, and its push."""
    approvals = [step for step in steps if step.export is None and step.at <= export.created_at]
    return [*approvals[-1:], *(step for step in steps if step.export)]


def _events(exports: Sequence[ERPExport]) -> tuple[list[Step], bool]:
    by_id = {export.pk: export for export in exports}
    newest = (
        ERPExportEvent.objects.filter(export__in=list(by_id))
        .select_related("actor")
        .order_by("-id")[: LONGEST + 1]
    )
    rows = list(reversed(newest))
    return [_event(row, by_id[row.export_id]) for row in rows[-LONGEST:]], len(rows) > LONGEST


def _event(row: ERPExportEvent, export: ERPExport) -> Step:
    return _step(
        row.at,
        row.what,
        who=row.actor.email if row.actor else "",
        path=export.dropzone_path if row.what == PUBLISHED else "",
        detail=text(row.message),
        attempt=row.attempt,
        export=export,
    )


def _without_pushes(events: Iterable[Step], requests: Iterable[Step]) -> list[Step]:
    """Drop the event of a push that the audit log has, too: only the log tells a retry from a push."""
    audited = {step.export.pk for step in requests if step.export}
    return [
        step for step in events if not (step.code == "pushed" and step.export and step.export.pk in audited)
    ]


def _acks(exports: Sequence[ERPExport]) -> list[Step]:
    by_id = {export.pk: export for export in exports}
    steps = []
    for ack in ack_files_of(exports):
        export = by_id.get(ack.export_id) if ack.export_id else None
        detail = _why_not_applied(ack)
        steps.append(_step(ack.first_seen_at, ACK_FOUND, path=ack.name, detail=detail, export=export))
        if ack.moved_at and ack.moved_to:
            steps.append(_step(ack.moved_at, ACK_FILED, path=ack.moved_to, export=export))
        if ack.body_removed_at:
            steps.append(_step(ack.body_removed_at, ACK_REMOVED, path=ack.name, export=export))
    return steps


def _why_not_applied(ack: AckFile) -> str:
    if ack.reason is None:
        return ""
    return text(Message("event.ack_not_applied", status=ack.status, reason=ack.reason))


def _removals(exports: Sequence[ERPExport]) -> Iterable[Step]:
    for export in exports:
        if export.payload_removed_at:
            yield _step(export.payload_removed_at, FILE_REMOVED, path=export.filename, export=export)
        if export.events_removed_at:
            yield _step(export.events_removed_at, EVENTS_REMOVED, export=export)


def _step(
    at: datetime,
    code: str,
    *,
    who: str = "",
    path: str = "",
    detail: str = "",
    attempt: int = 0,
    export: ERPExport | None = None,
) -> Step:
    worded = event_text(code)
    return Step(at, code, worded.text, worded.tone, who, path, detail, attempt, export)


def _timed(steps: Sequence[Step]) -> Iterable[Step]:
    before: datetime | None = None
    for step in steps:
        yield replace(step, after=duration(step.at - before)) if before else step
        before = step.at
