"""Resolve contradicting answers to an export. The result does not depend on the order in which they arrived.

A decision of a user stays, and so does a replaced export: an answer that contradicts it is only shown.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from erp_connectors.models import AckFile, ERPExport, ERPExportEvent
from erp_connectors.port_types import Ack
from erp_connectors.services.acks.apply import (
    DISMISSED,
    MANUAL_ANSWER,
    clear_conflicts,
    conflicting_ack,
    correct_numbers,
    record_conflicts,
    replace_refusals,
)
from erp_connectors.services.acks.content import ack_of
from erp_connectors.services.acks.precedence import Ranking, earliest, rank
from erp_connectors.services.exports.answer import AnswerToApply
from erp_connectors.states import AckFileStatus, Decision, ExportStatus
from orderflow.row_updates import update_rows

# The statuses of rows whose answer was understood and matched an export.
ANSWERS = (AckFileStatus.APPLIED, AckFileStatus.REPEATED, AckFileStatus.CONFLICT)


@dataclass(frozen=True, slots=True)
class DecidedAck:
    """An answer and its decision; ``is_first``: its export had none before."""

    row: AckFile
    answer: AnswerToApply
    decision: Decision
    is_first: bool


@dataclass(frozen=True, slots=True)
class _Contested:
    """An export, the rows of all its answers, and the answers, in the same order."""

    export: ERPExport
    rows: list[AckFile]
    answers: list[AnswerToApply]

    def add(self, row: AckFile, ack: Ack) -> None:
        self.rows.append(row)
        self.answers.append(AnswerToApply(self.export, ack, row.name))

    def first_conflict(self, *, since: datetime | None) -> AnswerToApply | None:
        """Return the earliest answer that contradicts the record. ``since``: only of those decided later."""
        against = [
            answer
            for row, answer in zip(self.rows, self.answers, strict=True)
            if row.status == AckFileStatus.CONFLICT and (since is None or (row.decided_at or since) > since)
        ]
        return earliest(against) if against else None

    def ranking(self) -> Ranking | None:
        """Return the ranking; None if the record comes from none of these answers, so that they can't overrule it."""
        found = rank(self.answers)
        if self.export.status != ExportStatus.ACKED:
            return None if found.preferred.ack.accepted else found
        numbers = {answer.ack.erp_order_id for answer in self.answers if answer.ack.accepted}
        return found if self.export.erp_order_id in numbers else None


@dataclass(frozen=True, slots=True)
class WaitingAnswer:
    """An answer that arrived when it could change nothing. The caller applies ``answer``, then calls `record_files`."""

    answer: AnswerToApply
    _contested: _Contested
    _ranking: Ranking

    def record_files(self) -> None:
        """Record for each file if it was applied, repeats the answer, or contradicts it."""
        _record([(self._contested, self._ranking)], ())


def waiting_answer(export: ERPExport) -> WaitingAnswer | None:
    """Return the preferred answer of those that conflicted with a newer export; None if there is none."""
    conflict = export.conflict_json or {}
    if conflict.get("answer") is None:
        return None
    contested = _Contested(export, [], [])
    for row in (
        AckFile.objects.filter(export=export, status=AckFileStatus.CONFLICT).defer("body").order_by("pk")
    ):
        contested.add(row, ack_of(row))
    found = rank(contested.answers or [AnswerToApply(export, conflicting_ack(conflict), conflict["file"])])
    return WaitingAnswer(found.preferred, contested, found)


def resolve_contradictions(decided: Sequence[DecidedAck], *, replaced: Collection[object]) -> None:
    """Rank the answers of exports that have several. Set exports, and the status of rows.

    The caller saves the rows in ``decided``; the others are saved here.
    """
    exports = {
        one.answer.export.pk for one in decided if not one.is_first or one.decision is Decision.CONFLICT
    }
    if not exports:
        return
    decided_manually = _decided_manually(exports)
    rankings: list[tuple[_Contested, Ranking]] = []
    shown: list[AnswerToApply] = []
    for one in _contested_exports([one for one in decided if one.answer.export.pk in exports]):
        pk = one.export.pk
        found = None if pk in replaced or pk in decided_manually else one.ranking()
        if found:
            rankings.append((one, found))
        elif conflict := one.first_conflict(since=decided_manually.get(pk)):
            shown.append(conflict)
    _record(rankings, {id(one.row) for one in decided})
    record_conflicts(shown)


def _decided_manually(exports: Collection[UUID]) -> dict[UUID, datetime]:
    events = ERPExportEvent.objects.filter(export__in=list(exports), what__in=(MANUAL_ANSWER, DISMISSED))
    return dict(events.order_by("at").values_list("export", "at"))


def _contested_exports(decided: Sequence[DecidedAck]) -> list[_Contested]:
    found = {one.answer.export.pk: _Contested(one.answer.export, [], []) for one in decided}
    new = [one.row.pk for one in decided if one.row.pk]
    earlier = AckFile.objects.filter(export__in=list(found), status__in=ANSWERS).exclude(pk__in=new)
    for row in earlier.defer("body").order_by("pk"):
        assert row.export_id is not None  # noqa: S101  # the statement asks for it
        found[row.export_id].add(row, ack_of(row))
    for one in decided:
        found[one.answer.export.pk].add(one.row, one.answer.ack)
    return list(found.values())


def _record(rankings: Sequence[tuple[_Contested, Ranking]], new: Collection[int]) -> None:
    numbers, refusals, conflicts, agreed = [], [], [], []
    changed: list[AckFile] = []
    for contested, found in rankings:
        export, preferred = contested.export, found.preferred
        if not preferred.ack.accepted:
            refusals.append(preferred)
        elif export.erp_order_id != preferred.ack.erp_order_id:
            numbers.append(preferred)
        if found.conflict:
            conflicts.append(found.conflict)
        elif export.conflict_json:
            agreed.append(export)
        for row, answer in zip(contested.rows, contested.answers, strict=True):
            status = _status(answer, found)
            if row.status != status:
                row.status = status
                changed.append(row)
    correct_numbers(numbers)
    replace_refusals(refusals)
    record_conflicts(conflicts)
    clear_conflicts(agreed)
    update_rows([row for row in changed if id(row) not in new], "status")


def _status(answer: AnswerToApply, found: Ranking) -> AckFileStatus:
    if answer is found.preferred:
        return AckFileStatus.APPLIED
    return AckFileStatus.REPEATED if found.agrees(answer) else AckFileStatus.CONFLICT
