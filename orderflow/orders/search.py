"""Find orders by a number, by the beginning of a word of it, or by the customer."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import connections
from django.db.models import BooleanField, Case, Q, QuerySet, TextField, Value, When
from django.db.models.functions import Concat
from django.db.models.lookups import Contains

from orderflow.orders.models import Customer, DraftOrder
from orderflow.orders.number_search import FIND
from orderflow.search.lookups import NormalForm, begins, contains
from orderflow.search.normal_form import normal_form, words
from orderflow.tenancy.models import User

# Up to so many matches are looked up by id. If more match, reading the newest orders soon fills a page.
FEW_CUSTOMERS, FEW_ORDERS = 200, 1_000
LOOKED_AT, MANY = 400, 50


def search(orders: QuerySet[DraftOrder], user: User, text: str) -> QuerySet[DraftOrder]:
    """Return those of ``orders`` that ``text`` finds for ``user``, who must be allowed to see them.

    Each word of the text begins a word of the order number or of the ERP number ("123" finds PO-12345), or the text is
    part of the customer's name, or begins the number that the ERP knows the customer by. Texts are compared in normal
    form.
    """
    wanted = words(text)
    if not wanted:
        return orders.none()
    found = Customer.objects.visible_to(user).filter(
        contains(text, "name") | begins(text, "erp_customer_number")
    )
    few = list(found.order_by().values_list("pk", flat=True)[: FEW_CUSTOMERS + 1])
    numbered = _numbered(orders, user, wanted)
    if not few:
        return orders.filter(numbered)
    theirs = (
        Q(customer__in=few)
        if len(few) <= FEW_CUSTOMERS
        else _as_filter(Q(customer__in=found.order_by().values("pk")))
    )
    return orders.filter(numbered | theirs)


def _as_filter(condition: Q) -> Q:
    """Let PostgreSQL read the newest orders and compare each, for a condition that many orders match.

    The planner expects few matches. Without this it would read and sort all orders of each customer.
    """
    return Q(Case(When(condition, then=Value(True)), default=Value(False), output_field=BooleanField()))


def search_numbers(orders: QuerySet[DraftOrder], user: User, text: str) -> QuerySet[DraftOrder]:
    """Return those of ``orders`` whose order number or ERP number ``text`` finds."""
    wanted = words(text)
    return orders.filter(_numbered(orders, user, wanted)) if wanted else orders.none()


def _numbered(orders: QuerySet[DraftOrder], user: User, wanted: list[str]) -> Q:
    if connections[orders.db].vendor == "postgresql" and not _common(orders, wanted):
        ids = _by_index(orders.db, user, wanted)
        if len(ids) <= FEW_ORDERS:
            return Q(pk__in=ids)
    # As `orders_number_forms` has it.
    numbers = Concat("external_order_number", Value(" "), "erp_order_id", output_field=TextField())
    form = NormalForm(numbers)
    condition = Q()
    # The longest first: it leaves the fewest orders to compare again.
    for word in sorted(wanted, key=len, reverse=True):
        condition &= Q(Contains(form, f" {word}"))
    return condition


def _common(orders: QuerySet[DraftOrder], wanted: Iterable[str]) -> bool:
    """Return whether reading the newest orders one by one fills a page sooner than the index names all of them."""
    newest = orders.order_by("-created_at").values_list("external_order_number", "erp_order_id")[:LOOKED_AT]
    begun = [f" {word}" for word in wanted]
    forms = (normal_form(f"{a} {b}") for a, b in newest)
    return sum(all(one in form for one in begun) for form in forms) >= MANY


def _by_index(alias: str, user: User, wanted: Iterable[str]) -> list[UUID]:
    """Return the ids of the matching orders, at most `FEW_ORDERS` + 1."""
    orgs = None if user.is_platform_staff else [user.org_id]
    prefixes = " & ".join(f"'{word}':*" for word in wanted)
    with connections[alias].cursor() as cursor:
        parameters: list[Any] = [orgs, prefixes, FEW_ORDERS + 1]
        cursor.execute(f"SELECT * FROM {FIND}(%s::uuid[], %s, %s)", parameters)  # noqa: S608  # our own name
        return [row[0] for row in cursor.fetchall()]
