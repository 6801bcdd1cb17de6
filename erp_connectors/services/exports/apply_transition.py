"""Write a transition of exports with all its effects: rows, orders, events, audit entries, counters, and so on.

Only `exports/transitions.py` calls this. `exports/transition_table.py` has the effects of each transition.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import timezone

from erp_connectors import counters
from erp_connectors.models import ERPExport, ERPExportEvent
from erp_connectors.outbox.record import note_exports
from erp_connectors.services.exports.export_log import log_each
from erp_connectors.services.exports.transition_table import Entity, Transition
from erp_connectors.states import EXPORT_MOVES, ExportStatus
from orderflow import tracing
from orderflow.audit import services as audit
from orderflow.messages import Message
from orderflow.orders import transitions as orders
from orderflow.row_updates import update_rows_where
from orderflow.tenancy.models import User
from orderflow.transitions import IllegalMove, LostRace


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
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


def apply(
    transition: Transition,
    changes: Sequence[Change],
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
        for change in changes:
            _set(change.export, {**change.values, "status": transition.to, "failed_as": transition.failed_as})
        ERPExport.objects.bulk_create([change.export for change in changes])
        moved, entered = list(changes), len(changes)
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


def _update(transition: Transition, changes: Sequence[Change], same: Mapping[str, object]) -> list[Change]:
    """Compare and set: a row that has another status than ``change.export`` stays as it is."""
    groups: dict[tuple[str, str], list[Change]] = defaultdict(list)
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


def _add_events(transition: Transition, changes: Sequence[Change], now: datetime) -> None:
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


def _audit(transition: Transition, changes: Sequence[Change]) -> None:
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


def _count(transition: Transition, changes: Sequence[Change], entered: int) -> None:
    counts = [(counters.Name.EXPORTS, str(transition.to), entered)]
    if transition.counts_failure:
        codes = Counter(change.code for change in changes)
        counts += [(counters.Name.FAILURES, code, how_many) for code, how_many in codes.items()]
    took = [change.took for change in changes if change.took is not None]
    counters.add(counts, observed={transition.observes: took} if transition.observes else {})


def _trace(transition: Transition, changes: Sequence[Change]) -> None:
    if not transition.span:
        return
    now = time.monotonic()
    for change in changes:
        known = {name: change.log[name] for name in ("source", "code") if name in change.log}
        attributes = {"export_id": str(change.export.pk), **known}
        tracing.note(transition.span, parent=change.export.trace, since=now, attributes=attributes)
