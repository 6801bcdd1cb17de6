"""Mark orders with a doubtful ERP number (shared or a placeholder), so that counting them is cheap."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from orderflow.orders.erp_numbers import is_placeholder
from orderflow.orders.models import DraftOrder
from orderflow.orders.order_warnings import shares_erp_number


def mark_doubtful(drafts: Sequence[DraftOrder], *, now: datetime, before: Sequence[str] = ()) -> None:
    """Mark these orders if their number is doubtful, and the earlier orders that have the same number.

    The caller has just written the numbers; ``before`` has those that they replace, in the order of ``drafts``. Two
    concurrent transactions with the same number do not see each other's. Then no order is marked, but the warnings on
    the orders' pages and in the API are computed anew and still appear.
    """
    ids = [draft.pk for draft in drafts]
    shared = set(
        DraftOrder.objects.filter(pk__in=ids).filter(shares_erp_number()).values_list("pk", flat=True)
    )
    doubtful = shared | {draft.pk for draft in drafts if is_placeholder(draft.erp_order_id)}
    unmarked = DraftOrder.objects.filter(erp_number_doubtful_at=None)
    unmarked.filter(pk__in=doubtful).update(erp_number_doubtful_at=now)
    for org, numbers in _by_org((draft.org_id, draft.erp_order_id) for draft in drafts if draft.pk in shared):
        _mark(unmarked.filter(org=org, erp_order_id__in=numbers), now)
    cleared = [draft.pk for draft in drafts if draft.erp_number_doubtful_at and draft.pk not in doubtful]
    if cleared:
        DraftOrder.objects.filter(pk__in=cleared).update(erp_number_doubtful_at=None)
    replaced = [
        (draft.org_id, number)
        for draft, number in zip(drafts, before, strict=False)
        if not is_placeholder(number)
    ]
    for org, numbers in _by_org(replaced):
        marked = DraftOrder.objects.filter(
            org=org, erp_order_id__in=numbers, erp_number_doubtful_at__isnull=False
        )
        _mark(marked.exclude(shares_erp_number()), None)


def _mark(orders: QuerySet[DraftOrder], at: datetime | None) -> None:
    # Skip locked rows: the transaction that holds one marks it, and waiting for each other would be a deadlock.
    free = orders.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)
    DraftOrder.objects.filter(pk__in=list(free)).update(erp_number_doubtful_at=at)


def _by_org(numbers: Iterable[tuple[UUID, str]]) -> list[tuple[UUID, set[str]]]:
    found: dict[UUID, set[str]] = {}
    for org, number in numbers:
        found.setdefault(org, set()).add(number)
    return list(found.items())
