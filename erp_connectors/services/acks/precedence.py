"""Precedence among several answers to one export, whatever order they arrived in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from erp_connectors.port_types import Ack
from erp_connectors.services.exports.answer import AnswerToApply

_NO_TIME = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Ranking:
    """The answer that takes precedence, and the first one that contradicts it."""

    preferred: AnswerToApply
    conflict: AnswerToApply | None

    def agrees(self, answer: AnswerToApply) -> bool:
        return not _contradicts(answer.ack, self.preferred.ack)


def rank(answers: Sequence[AnswerToApply]) -> Ranking:
    """Rank an acceptance before a refusal, then by the time at which the ERP processed the order.

    A refusal that the ERP processed before it accepted is no contradiction: the ERP was corrected by hand.
    """
    ranked = sorted(answers, key=_order)
    preferred = next((one for one in ranked if one.ack.accepted), ranked[0])
    against = (one for one in ranked if _contradicts(one.ack, preferred.ack))
    return Ranking(preferred, next(against, None))


def earliest(answers: Sequence[AnswerToApply]) -> AnswerToApply:
    """Return the answer that the ERP processed first."""
    return min(answers, key=_order)


def _order(answer: AnswerToApply) -> tuple[object, ...]:
    ack, source = answer.ack, answer.source
    content = (ack.erp_order_id or "", ack.error_code or "", ack.message or "")
    return (ack.processed_at or _NO_TIME, not ack.accepted, source.lower(), source, *content)


def _contradicts(ack: Ack, preferred: Ack) -> bool:
    if ack.accepted and preferred.accepted:
        return ack.erp_order_id != preferred.erp_order_id
    if ack.accepted is preferred.accepted:
        return False
    return not (ack.processed_at and preferred.processed_at and ack.processed_at < preferred.processed_at)
