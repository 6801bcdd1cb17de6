"""Serialise transactions that give order numbers to orders of one customer."""

from collections.abc import Collection
from uuid import UUID

from orderflow.orders.models import Customer


def hold_customers(ids: Collection[UUID]) -> None:
    """Lock customers until the transaction ends, in one order for all callers.

    If two transactions use the same order number at once, the second one waits, finds the order of the first, and
    answers with the warning. Approving, pushing and orders of other customers do not wait.
    """
    rows = Customer.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk")
    list(rows.values_list("pk", flat=True))
