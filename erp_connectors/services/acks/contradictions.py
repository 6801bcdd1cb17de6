"""Where an export has several answers: what is recorded does not depend on the order they came in.

Left alone is what a person decided, and what a newer export replaced: there an answer changes nothing, and one that
contradicts it is shown.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from erp_connectors.connectors.base import Connector
from erp_connectors.models import AckFile, ERPExport, ERPExportEvent
from erp_connectors.port_types import Ack
from erp_connectors.registry import connector_for
from erp_connectors.services.acks.apply import (
    BY_HAND,
    HANDLED,
    answer_of,
    correct_numbers,
    drop_conflicts,
    note_conflicts,
    restate_refusals,
)
from erp_connectors.services.acks.content import said_by
from erp_connectors.services.acks.precedence import Heard, Verdict, first, verdict
from erp_connectors.services.exports.answer import AnswerToApply
from erp_connectors.states import AckFileStatus, Decision, ExportStatus
from orderflow.row_updates import update_rows

ANSWERS = (AckFileStatus.APPLIED, AckFileStatus.REPEATED, AckFileStatus.CONFLICT)


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer of this page; ``first``: the export had none before."""

    row: AckFile
    given: AnswerToApply
    decision: Decision
    first: bool


@dataclass(frozen=True, slots=True)
class _Several:
    export: ERPExport
    rows: list[AckFile]
    heard: list[Heard]

    def add(self, row: AckFile, ack: Ack) -> None:
        self.rows.append(row)
        self.heard.append(Heard(row.name, ack))

    def first_conflict(self, *, since: datetime | None) -> Heard | None:
        """Of those that contradict what nothing changes any more."""
        pairs = zip(self.rows, self.heard, strict=True)
        against = [
            heard
            for row, heard in pairs
            if row.status == AckFileStatus.CONFLICT and (since is None or (row.decided_at or since) > since)
        ]
        return first(against) if against else None

    def verdict(self) -> Verdict | None:
        """None: what is recorded comes from none of these, so they can't overrule it."""
        found = verdict(self.heard)
        if self.export.status != ExportStatus.ACKED:
            return None if found.counts.ack.accepted else found
        numbers = {heard.ack.erp_order_id for heard in self.heard if heard.ack.accepted}
        return found if self.export.erp_order_id in numbers else None


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the answers say that came to an export while they could change nothing; the caller applies ``given``."""

    given: AnswerToApply
    _several: _Several
    _verdict: Verdict

    def settle_files(self) -> None:
        """Record which of the files count, repeat or contradict. To be called after ``given`` was applied."""
        _record([(self._several, self._verdict)], ())


def waiting_answer(export: ERPExport) -> Waiting | None:
    """The answer that counts of those that were recorded as a conflict with a newer export."""
    conflict = export.conflict_json or {}
    if conflict.get("answer") is None:
        return None
    several, connector = _Several(export, [], []), connector_for(export.connection.connector_type)
    for row in AckFile.objects.filter(export=export, status=AckFileStatus.CONFLICT).order_by("pk"):
        several.add(row, said_by(row, connector))
    found = verdict(several.heard or [Heard(conflict["file"], answer_of(conflict))])
    return Waiting(AnswerToApply(export, found.counts.ack, found.counts.file), several, found)


def settle_contradictions(
    judged: Sequence[Judged], *, connector: Connector[object], replaced: Collection[object]
) -> None:
    """Changes exports, and the status of rows: the caller saves those in ``judged``, the others are saved here."""
    contested = [one for one in judged if not one.first or one.decision is Decision.CONFLICT]
    if not contested:
        return
    exports = {one.given.export.pk for one in contested}
    several = _several([one for one in judged if one.given.export.pk in exports], connector)
    by_hand = _decided_by_hand(exports)
    verdicts: list[tuple[_Several, Verdict]] = []
    shown: list[AnswerToApply] = []
    for one in several:
        pk = one.export.pk
        found = None if pk in replaced or pk in by_hand else one.verdict()
        if found:
            verdicts.append((one, found))
        elif conflict := one.first_conflict(since=by_hand.get(pk)):
            shown.append(AnswerToApply(one.export, conflict.ack, conflict.file))
    _record(verdicts, {id(one.row) for one in judged})
    note_conflicts(shown)


def _decided_by_hand(exports: Collection[UUID]) -> dict[UUID, datetime]:
    events = ERPExportEvent.objects.filter(export__in=list(exports), what__in=(BY_HAND, HANDLED)).order_by(
        "at"
    )
    return dict(events.values_list("export", "at"))


def _several(judged: Sequence[Judged], connector: Connector[object]) -> list[_Several]:
    found = {one.given.export.pk: _Several(one.given.export, [], []) for one in judged}
    new = [one.row.pk for one in judged if one.row.pk]
    earlier = AckFile.objects.filter(export__in=list(found), status__in=ANSWERS).exclude(pk__in=new)
    for row in earlier.order_by("pk"):
        assert row.export_id is not None  # noqa: S101  # they were asked for by it
        found[row.export_id].add(row, said_by(row, connector))
    for one in judged:
        found[one.given.export.pk].add(one.row, one.given.ack)
    return list(found.values())


def _record(verdicts: Sequence[tuple[_Several, Verdict]], new: Collection[int]) -> None:
    numbers, refusals, conflicts, settled = [], [], [], []
    changed: list[AckFile] = []
    for several, found in verdicts:
        export, counts = several.export, AnswerToApply(several.export, found.counts.ack, found.counts.file)
        if not counts.ack.accepted:
            refusals.append(counts)
        elif export.erp_order_id != counts.ack.erp_order_id:
            numbers.append(counts)
        if found.conflict:
            conflicts.append(AnswerToApply(export, found.conflict.ack, found.conflict.file))
        elif export.conflict_json:
            settled.append(export)
        for row, heard in zip(several.rows, several.heard, strict=True):
            status = _status(heard, found)
            if row.status != status:
                row.status = status
                changed.append(row)
    correct_numbers(numbers)
    restate_refusals(refusals)
    note_conflicts(conflicts)
    drop_conflicts(settled)
    update_rows([row for row in changed if id(row) not in new], "status")


def _status(heard: Heard, found: Verdict) -> AckFileStatus:
    if heard is found.counts:
        return AckFileStatus.APPLIED
    return AckFileStatus.REPEATED if found.agrees(heard) else AckFileStatus.CONFLICT
