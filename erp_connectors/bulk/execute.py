"""Do an action to a chunk of orders within the caller's transaction, and say of each what became of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from django.db import transaction

from erp_connectors.bulk.models import BulkAction, Outcome
from erp_connectors.services.exports.push import AlreadyStarted, PushRefused, PushResult, push_many
from erp_connectors.services.exports.retry import retry_many
from orderflow.messages import Message
from orderflow.orders.approval import NotReady, approve
from orderflow.orders.models import DraftOrder
from orderflow.orders.review import mark_ready, reject
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.models import User
from orderflow.transitions import IllegalMove, LostRace

GONE = Message("bulk.order_gone")


class Result(NamedTuple):
    outcome: Outcome
    why: Message | None = None


def execute_chunk(action: BulkAction, ids: Sequence[UUID], *, actor: User) -> Mapping[UUID, Result]:
    """Return a result for each id."""
    if not actor.is_active:
        return dict.fromkeys(ids, Result(Outcome.REFUSED, Message("bulk.user_deactivated", user=actor.email)))
    return _DO[action](ids, actor)


def _all_at_once(
    use_case: Callable[..., Mapping[UUID, PushResult | PushRefused]],
) -> Callable[[Sequence[UUID], User], Mapping[UUID, Result]]:
    def run(ids: Sequence[UUID], actor: User) -> Mapping[UUID, Result]:
        return {pk: _result_of(result) for pk, result in use_case(ids, actor=actor).items()}

    return run


def _result_of(result: PushResult | PushRefused) -> Result:
    if isinstance(result, AlreadyStarted) or (isinstance(result, PushResult) and not result.created):
        return Result(Outcome.SAME, Message("bulk.pushed_before"))
    return (
        Result(Outcome.REFUSED, result.message) if isinstance(result, PushRefused) else Result(Outcome.DONE)
    )


def _one_by_one(
    use_case: Callable[..., DraftOrder], to: DraftStatus
) -> Callable[[Sequence[UUID], User], Mapping[UUID, Result]]:
    def each(ids: Sequence[UUID], actor: User) -> Mapping[UUID, Result]:
        orders = DraftOrder.objects.visible_to(actor).filter(pk__in=ids, status=to)
        same = set(orders.values_list("pk", flat=True))
        return {pk: Result(Outcome.SAME) if pk in same else _one(use_case, pk, actor) for pk in sorted(ids)}

    return each


def _one(use_case: Callable[..., DraftOrder], pk: UUID, actor: User) -> Result:
    try:
        with transaction.atomic():
            use_case(pk, actor=actor)
    except DraftOrder.DoesNotExist:
        return Result(Outcome.REFUSED, GONE)
    except (IllegalMove, LostRace, NotReady) as refusal:
        return Result(Outcome.REFUSED, refusal.message)
    return Result(Outcome.DONE)


_DO: dict[BulkAction, Callable[[Sequence[UUID], User], Mapping[UUID, Result]]] = {
    BulkAction.READY: _one_by_one(mark_ready, DraftStatus.READY),
    BulkAction.APPROVE: _one_by_one(approve, DraftStatus.APPROVED),
    BulkAction.PUSH: _all_at_once(push_many),
    BulkAction.RETRY: _all_at_once(retry_many),
    BulkAction.REJECT: _one_by_one(reject, DraftStatus.REJECTED),
}
