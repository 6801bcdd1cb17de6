"""Find audit entries by order number."""

from orderflow.orders.models import DraftOrder
from orderflow.orders.search import search_numbers
from orderflow.tenancy.models import User

# Of the newest orders; a text that finds more is too short to search a log by.
MAX_IDS = 500


def order_ids(user: User, text: str) -> list[str]:
    """Return the ids of orders whose order number or ERP number ``text`` finds, newest first."""
    orders = search_numbers(DraftOrder.objects.visible_to(user), user, text)
    return [str(pk) for pk in orders.order_by("-created_at").values_list("pk", flat=True)[:MAX_IDS]]
