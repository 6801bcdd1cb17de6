"""Several answers to one export: which of them counts, whatever order they came in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from erp_connectors.port_types import Ack

_NOT_SAID = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer, and the name of the file it came in."""

    file: str
    ack: Ack


@dataclass(frozen=True, slots=True)
class Verdict:
    counts: Heard
    conflict: Heard | None

    def agrees(self, heard: Heard) -> bool:
        return not _contradict(heard.ack, self.counts.ack)


def verdict(heard: Sequence[Heard]) -> Verdict:
    """An acceptance before a refusal, then what the ERP processed first; the first that contradicts it is the conflict.

    A refusal that the ERP processed before it accepted is no contradiction: the ERP was corrected by hand.
    """
    ranked = sorted(heard, key=_rank)
    counts = next((one for one in ranked if one.ack.accepted), ranked[0])
    against = (one for one in ranked if _contradict(one.ack, counts.ack))
    return Verdict(counts, next(against, None))


def first(heard: Sequence[Heard]) -> Heard:
    """What the ERP processed first."""
    return min(heard, key=_rank)


def _rank(heard: Heard) -> tuple[object, ...]:
    ack = heard.ack
    said = (ack.erp_order_id or "", ack.error_code or "", ack.message or "")
    return (ack.processed_at or _NOT_SAID, not ack.accepted, heard.file.lower(), heard.file, *said)


def _contradict(one: Ack, counts: Ack) -> bool:
    if one.accepted and counts.accepted:
        return one.erp_order_id != counts.erp_order_id
    if one.accepted is counts.accepted:
        return False
    return not (one.processed_at and counts.processed_at and one.processed_at < counts.processed_at)
