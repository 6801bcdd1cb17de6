"""Change the status of orders. No other module does; `DRAFT_MOVES` lists the allowed changes."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.utils import timezone

from orderflow.messages import Message
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DRAFT_MOVES, DraftStatus
from orderflow.transitions import IllegalMove, LostRace


def move(draft: DraftOrder, to: DraftStatus, **fields: Any) -> DraftOrder:
    """Move an order if it still has the status of ``draft``. Raises `IllegalMove` or `LostRace`."""
    _require_allowed(draft.status, to)
    row = DraftOrder.objects.filter(pk=draft.pk, status=draft.status)
    if not row.update(status=to, updated_at=timezone.now(), **fields):
        raise LostRace(Message("order.status_changed", order=str(draft), status=draft.status))
    for name, value in {"status": to, **fields}.items():
        setattr(draft, name, value)
    return draft


def move_all(
    ids: Collection[UUID], *, from_statuses: Collection[DraftStatus], to: DraftStatus, **fields: Any
) -> int:
    """Move those of many orders that have one of these statuses, with one UPDATE. Return how many moved.

    Raises `IllegalMove`.
    """
    for status in from_statuses:
        _require_allowed(status, to)
    if not ids:
        return 0
    rows = DraftOrder.objects.filter(pk__in=ids, status__in=from_statuses)
    return rows.update(status=to, updated_at=timezone.now(), **fields)


def restore_as_error(draft: DraftOrder) -> None:
    """Set a restored order to ERROR, whatever the backup says of it: its later moves were lost with the database."""
    DraftOrder.objects.filter(pk=draft.pk).update(status=DraftStatus.ERROR, updated_at=timezone.now())
    draft.status = DraftStatus.ERROR


def _require_allowed(from_status: str, to: str) -> None:
    if DraftStatus(to) not in DRAFT_MOVES[DraftStatus(from_status)]:
        raise IllegalMove(Message("order.illegal_move", status=from_status, to=to))
