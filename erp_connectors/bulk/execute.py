"""Do an action to a chunk of orders within the caller's transaction, and say of each what became of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from django.db import transaction

from erp_connectors.bulk.models import BulkAction, Outcome
from erp_connectors.models import ERPExport
from erp_connectors.services.exports.push import PushRefused, PushResult, push_many
from erp_connectors.services.exports.retry import RetryOutcome as Retry
from erp_connectors.services.exports.retry import bulk_retry
from orderflow.orders.approval import NotReady, approve
from orderflow.orders.models import DraftOrder
from orderflow.orders.review import mark_ready, reject
from orderflow.tenancy.models import User
from orderflow.transitions import IllegalMove, LostRace

GONE = "There is no such order any more, or it is not yours."


class Result(NamedTuple):
    outcome: Outcome
    why: str = ""


def carry_out_chunk(action: BulkAction, ids: Sequence[UUID], *, actor: User) -> Mapping[UUID, Result]:
    """A result for each id."""
    if not actor.is_active:
        return dict.fromkeys(ids, Result(Outcome.REFUSED, f"{actor.email} was switched off meanwhile."))
    return _DO[action](ids, actor)


def _push(ids: Sequence[UUID], actor: User) -> Mapping[UUID, Result]:
    return {pk: _pushed(answer) for pk, answer in push_many(ids, actor=actor).items()}


def _pushed(answer: PushResult | PushRefused) -> Result:
    if isinstance(answer, PushRefused):
        return Result(Outcome.REFUSED, str(answer))
    if answer.created:
        return Result(Outcome.DONE)
    return Result(Outcome.SAME, "It was pushed before; nothing is sent twice.")


def _retry(ids: Sequence[UUID], actor: User) -> Mapping[UUID, Result]:
    rows = ERPExport.objects.filter(draft_order__in=ids).order_by("created_at", "pk")
    newest = dict(rows.values_list("draft_order", "pk"))
    answers = {one.export_id: one for one in bulk_retry(list(newest.values()), actor=actor, dry_run=False)}
    results = dict.fromkeys(ids, Result(Outcome.REFUSED, "It was never pushed: push it."))
    for pk, export_id in newest.items():
        answer = answers[export_id]
        done = answer.outcome is Retry.RETRY
        results[pk] = Result(Outcome.DONE if done else Outcome.REFUSED, "" if done else answer.why)
    return results


def _one_by_one(
    use_case: Callable[..., DraftOrder],
) -> Callable[[Sequence[UUID], User], Mapping[UUID, Result]]:
    def each(ids: Sequence[UUID], actor: User) -> Mapping[UUID, Result]:
        return {pk: _one(use_case, pk, actor) for pk in sorted(ids)}

    return each


def _one(use_case: Callable[..., DraftOrder], pk: UUID, actor: User) -> Result:
    try:
        with transaction.atomic():
            use_case(pk, actor=actor)
    except DraftOrder.DoesNotExist:
        return Result(Outcome.REFUSED, GONE)
    except (IllegalMove, LostRace, NotReady) as refusal:
        return Result(Outcome.REFUSED, str(refusal))
    return Result(Outcome.DONE)


_DO: dict[BulkAction, Callable[[Sequence[UUID], User], Mapping[UUID, Result]]] = {
    BulkAction.READY: _one_by_one(mark_ready),
    BulkAction.APPROVE: _one_by_one(approve),
    BulkAction.PUSH: _push,
    BulkAction.RETRY: _retry,
    BulkAction.REJECT: _one_by_one(reject),
}
