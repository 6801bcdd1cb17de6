"""Preview of a bulk action: its effect on each order, from rows alone, in a few statements."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

from django.db.models import Prefetch

from erp_connectors.bulk.models import BulkAction, Outcome
from erp_connectors.messages import NO_CONNECTION
from erp_connectors.models import ERPExport
from erp_connectors.services.exports.push import active_connections
from erp_connectors.services.exports.retry import newest_exports
from erp_connectors.services.exports.retry_rule import RetryRefusal, refuse_retry, retry_effect
from erp_connectors.states import ExportStatus
from orderflow.messages import Message, text
from orderflow.orders.models import DraftOrder, DraftOrderLine
from orderflow.orders.order_warnings import warnings_by_order
from orderflow.orders.readiness import missing_for_ready
from orderflow.orders.states import DraftStatus
from orderflow.orders.warning_codes import OrderWarning
from orderflow.tenancy.models import User

AT_ONCE = 500
SHOWN = 50
_S = DraftStatus


@dataclass(frozen=True, slots=True)
class OrderPreview:
    """``group`` is what rows of one kind have in common; the rest is the order's own."""

    order: DraftOrder
    outcome: Outcome
    group: Message
    missing: tuple[Message, ...] = ()
    warnings: tuple[OrderWarning, ...] = ()
    erp_number: str = ""

    @property
    def details(self) -> list[str]:
        """Return the order's own texts in the active language."""
        texts = [text(one) for one in self.missing] + [warning.text() for warning in self.warnings]
        return [*texts, self.erp_number] if self.erp_number else texts


@dataclass(slots=True)
class Group:
    """The first `SHOWN` rows of a kind, and how many there are."""

    outcome: Outcome
    message: Message
    count: int = 0
    shown: list[OrderPreview] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PreviewData:
    """The rows that decide about a chunk, read at once."""

    newest: Mapping[UUID, ERPExport]
    connected: frozenset[UUID]
    warnings: Mapping[UUID, Sequence[OrderWarning]]


def preview(action: BulkAction, ids: Sequence[UUID], *, actor: User) -> list[Group]:
    """Return the groups: orders that would change, those that need nothing, those that can't; largest first in each."""
    groups: dict[tuple[Outcome, Message], Group] = {}
    for start in range(0, len(ids), AT_ONCE):
        for row in _preview_page(action, ids[start : start + AT_ONCE], actor=actor):
            key = (row.outcome, row.group)
            group = groups.setdefault(key, Group(row.outcome, row.group))
            group.count += 1
            if len(group.shown) < SHOWN:
                group.shown.append(row)
    order = [Outcome.DONE, Outcome.SAME, Outcome.REFUSED]
    return sorted(groups.values(), key=lambda group: (order.index(group.outcome), -group.count))


def counts(groups: Iterable[Group]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for group in groups:
        counted[group.outcome] += group.count
    return counted


def _preview_page(action: BulkAction, ids: Sequence[UUID], *, actor: User) -> list[OrderPreview]:
    orders = list(DraftOrder.objects.visible_to(actor).filter(pk__in=ids).select_related("customer"))
    if action in (BulkAction.READY, BulkAction.APPROVE):
        needed = Prefetch("lines", DraftOrderLine.objects.order_by("line_no"))
        orders = list(
            DraftOrder.objects.filter(pk__in=[o.pk for o in orders]).prefetch_related(needed, "customer")
        )
    data, preview_of = _preview_data(action, orders), _PREVIEWS[action]
    by_id = {order.pk: order for order in orders}
    return [preview_of(by_id[pk], data) for pk in ids if pk in by_id]


def _preview_data(action: BulkAction, orders: Sequence[DraftOrder]) -> PreviewData:
    # Who rejects an order need not check it first.
    checked = [] if action is BulkAction.REJECT else [o for o in orders if o.status in _BEFORE[action]]
    warnings = warnings_by_order(checked)
    if action not in (BulkAction.PUSH, BulkAction.RETRY):
        return PreviewData({}, frozenset(), warnings)
    return PreviewData(newest_exports(orders), frozenset(active_connections(orders)), warnings)


def _ready(order: DraftOrder, data: PreviewData) -> OrderPreview:
    if order.status == _S.READY:
        return OrderPreview(order, Outcome.SAME, Message("bulk.already_ready"))
    if order.status not in _BEFORE[BulkAction.READY]:
        return _wrong_status(order)
    return _complete(order, data, Message("bulk.complete"))


def _approve(order: DraftOrder, data: PreviewData) -> OrderPreview:
    if order.status == _S.APPROVED:
        return OrderPreview(order, Outcome.SAME, Message("bulk.already_approved"))
    if order.status not in _BEFORE[BulkAction.APPROVE]:
        return _wrong_status(order)
    return _complete(order, data, Message("bulk.approves"))


def _reject(order: DraftOrder, data: PreviewData) -> OrderPreview:
    if order.status == _S.REJECTED:
        return OrderPreview(order, Outcome.SAME, Message("bulk.already_rejected"))
    if order.status not in _BEFORE[BulkAction.REJECT]:
        return _wrong_status(order)
    return OrderPreview(order, Outcome.DONE, Message("bulk.rejects"))


def _push(order: DraftOrder, data: PreviewData) -> OrderPreview:
    newest = data.newest.get(order.pk)
    if order.status in (_S.PUSHING, _S.PUSHED) and newest is not None:
        return OrderPreview(order, Outcome.SAME, _so_far(newest), erp_number=newest.erp_order_id)
    if order.status not in _BEFORE[BulkAction.PUSH]:
        return _wrong_status(order)
    if order.org_id not in data.connected:
        return OrderPreview(order, Outcome.REFUSED, NO_CONNECTION)
    return _done(order, data, Message("bulk.pushes"))


def _retry(order: DraftOrder, data: PreviewData) -> OrderPreview:
    newest = data.newest.get(order.pk)
    newest_id = newest.pk if newest else None
    connected = partial(data.connected.__contains__, order.org_id)
    refusal = refuse_retry(order, newest_id, newest_id=newest_id, connected=connected)
    if refusal is None:
        return _done(order, data, retry_effect(newest))
    if refusal is RetryRefusal.ALREADY_PUSHED and newest is not None:
        return OrderPreview(order, Outcome.SAME, _so_far(newest), erp_number=newest.erp_order_id)
    if refusal is RetryRefusal.NO_CONNECTION:
        return OrderPreview(order, Outcome.REFUSED, NO_CONNECTION)
    return _wrong_status(order)


# The statuses in which an action changes an order.
_BEFORE: dict[BulkAction, frozenset[DraftStatus]] = {
    BulkAction.READY: frozenset({_S.EXTRACTED, _S.NEEDS_REVIEW}),
    BulkAction.APPROVE: frozenset({_S.READY}),
    BulkAction.PUSH: frozenset({_S.APPROVED}),
    BulkAction.RETRY: frozenset({_S.ERROR}),
    BulkAction.REJECT: frozenset({_S.NEEDS_REVIEW}),
}
_PREVIEWS: dict[BulkAction, Callable[[DraftOrder, PreviewData], OrderPreview]] = {
    BulkAction.READY: _ready,
    BulkAction.APPROVE: _approve,
    BulkAction.PUSH: _push,
    BulkAction.RETRY: _retry,
    BulkAction.REJECT: _reject,
}


def _so_far(export: ERPExport) -> Message:
    if export.status == ExportStatus.ACKED:
        return Message("bulk.already_accepted")
    if export.status == ExportStatus.SENT:
        return Message("bulk.already_sent")
    return Message("bulk.already_pushing")


def _complete(order: DraftOrder, data: PreviewData, effect: Message) -> OrderPreview:
    missing = missing_for_ready(order)
    if missing:
        return OrderPreview(order, Outcome.REFUSED, Message("bulk.incomplete"), missing=tuple(missing))
    return _done(order, data, effect)


def _done(order: DraftOrder, data: PreviewData, effect: Message) -> OrderPreview:
    """Orders with warnings are a group of their own, so that they can be looked at first."""
    warnings = tuple(data.warnings.get(order.pk, ()))
    if not warnings:
        return OrderPreview(order, Outcome.DONE, effect)
    return OrderPreview(order, Outcome.DONE, Message("bulk.with_warnings", effect=effect), warnings=warnings)


def _wrong_status(order: DraftOrder) -> OrderPreview:
    return OrderPreview(order, Outcome.REFUSED, Message("bulk.wrong_status", status=order.status))
