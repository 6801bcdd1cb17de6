"""Mark orders with a doubtful ERP number (shared or a placeholder), so that counting them is cheap."""

from collections.abc import Sequence
from datetime import datetime

from orderflow.orders.erp_numbers import is_placeholder
from orderflow.orders.models import DraftOrder
from orderflow.orders.order_warnings import shares_erp_number


def mark_doubtful(drafts: Sequence[DraftOrder], *, now: datetime) -> None:
    """Mark these orders if their number is doubtful, and the earlier orders that have the same number.

    The caller has just written the numbers. Two concurrent transactions with the same number do not see each other's.
    Then no order is marked, but the warnings on the orders' pages and in the API are computed anew and still appear.
    """
    ids = [draft.pk for draft in drafts]
    shared = set(
        DraftOrder.objects.filter(pk__in=ids).filter(shares_erp_number()).values_list("pk", flat=True)
    )
    doubtful = shared | {draft.pk for draft in drafts if is_placeholder(draft.erp_order_id)}
    unmarked = DraftOrder.objects.filter(erp_number_doubtful_at=None)
    unmarked.filter(pk__in=doubtful).update(erp_number_doubtful_at=now)
    for org in {draft.org_id for draft in drafts if draft.pk in shared}:
        numbers = {draft.erp_order_id for draft in drafts if draft.pk in shared and draft.org_id == org}
        earlier = unmarked.filter(org=org, erp_order_id__in=numbers)
        # Skip locked rows: the transaction that holds one marks it, and waiting for each other would be a deadlock.
        free = earlier.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)
        DraftOrder.objects.filter(pk__in=list(free)).update(erp_number_doubtful_at=now)
    cleared = [draft.pk for draft in drafts if draft.erp_number_doubtful_at and draft.pk not in doubtful]
    if cleared:
        DraftOrder.objects.filter(pk__in=cleared).update(erp_number_doubtful_at=None)
