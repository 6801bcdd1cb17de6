"""Answers of an export that were not read: malformed, not readable yet, or misnamed."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from erp_connectors.models import AckFile, ERPExport
from erp_connectors.services.acks.misnamed import misnamed_of
from erp_connectors.states import AckFileStatus
from orderflow.messages import Message


class Why(StrEnum):
    MALFORMED = "MALFORMED"
    NOT_READABLE_YET = "NOT_READABLE_YET"
    MISNAMED = "MISNAMED"


@dataclass(frozen=True, slots=True)
class UnreadAnswer:
    """``reason`` is None for a misnamed file; ``expected_name`` is empty for all others."""

    name: str
    why: Why
    reason: Message | None
    expected_name: str
    since: datetime
    ack_file_id: int | None = None


def unread_answers(exports: Sequence[ERPExport]) -> dict[UUID, list[UnreadAnswer]]:
    """Return the unread answers of each export without an applied answer, oldest first. One statement.

    ``exports`` must have been read with their connection.
    """
    open_ = {export.pk: export for export in exports if not export.is_answered}
    found: dict[UUID, list[UnreadAnswer]] = defaultdict(list)
    for row in _not_understood(list(open_)) if open_ else ():
        why = Why.MALFORMED if row.status == AckFileStatus.MALFORMED else Why.NOT_READABLE_YET
        answer = UnreadAnswer(row.name, why, row.reason, "", row.first_seen_at, row.pk)
        if row.export_id:
            found[row.export_id].append(answer)
    for connection in {export.connection for export in open_.values()}:
        for file in misnamed_of(connection).files:
            if file.export_id in open_:
                found[file.export_id].append(
                    UnreadAnswer(file.name, Why.MISNAMED, None, file.expected_name, file.since)
                )
    return {pk: sorted(answers, key=lambda answer: answer.since) for pk, answers in found.items()}


def _not_understood(export_ids: Sequence[UUID]) -> Sequence[AckFile]:
    rows = AckFile.objects.filter(export__in=export_ids, dismissed_at=None)
    # A file whose export is not written yet was understood: it has no `unchanged_since`.
    waiting = rows.filter(status=AckFileStatus.WAITING, unchanged_since__isnull=False)
    malformed = rows.filter(status=AckFileStatus.MALFORMED)
    return list((malformed | waiting).defer("body").order_by("first_seen_at", "pk"))
