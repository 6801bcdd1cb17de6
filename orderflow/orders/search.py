"""Finding orders by what people have at hand: a number, or part of one, or the customer."""

import re
from typing import Any

from django.db import connections
from django.db.models import BooleanField, Func, Q, QuerySet, TextField, Value

from orderflow.orders.models import Customer, DraftOrder

# So many are looked up one by one; where more match, the newest of them are not far.
FEW_CUSTOMERS, FEW_ORDERS = 200, 1_000
LOOKED_AT, MANY = 400, 50
_WORDS = re.compile("[0-9a-z]+")


def search(orders: QuerySet[DraftOrder], customers: QuerySet[Customer], text: str) -> QuerySet[DraftOrder]:
    """``customers`` are those that may be seen.

    Each word of the text begins a word of the order number or the ERP number ("123" finds PO-12345), or the text is
    part of the customer's name, or begins the number that the ERP knows the customer by.
    """
    found = customers.filter(Q(name__icontains=text) | Q(erp_customer_number__istartswith=text)).order_by()
    few = list(found.values_list("pk", flat=True)[: FEW_CUSTOMERS + 1])
    theirs = Q(customer__in=few) if len(few) <= FEW_CUSTOMERS else Q(customer__in=found.values("pk"))
    words = _WORDS.findall(text.lower())
    if not words:
        return orders.filter(theirs)
    numbered = _numbered(orders, words)
    return orders.filter(numbered | theirs) if few else orders.filter(numbered)


def _numbered(orders: QuerySet[DraftOrder], words: list[str]) -> Q:
    condition = Q()
    for word in words:
        begins = f"(^|[^0-9A-Za-z]){word}"
        condition &= Q(external_order_number__iregex=begins) | Q(erp_order_id__iregex=begins)
    if connections[orders.db].vendor == "postgresql" and not _common(orders, words):
        ids = _by_index(orders, words)
        if len(ids) <= FEW_ORDERS:
            return Q(pk__in=ids)
    return condition


def _common(orders: QuerySet[DraftOrder], words: list[str]) -> bool:
    """So common that reading the newest orders one by one fills a page sooner than the index names all of them."""
    newest = orders.order_by("-created_at").values_list("external_order_number", "erp_order_id")[:LOOKED_AT]
    begins = [re.compile(f"(^|[^0-9A-Za-z]){word}", re.IGNORECASE | re.ASCII) for word in words]
    return sum(all(one.search(f"{a} {b}") for one in begins) for a, b in newest) >= MANY


def _by_index(orders: QuerySet[DraftOrder], words: list[str]) -> list[Any]:
    """Not more than one above the few.

    PostgreSQL takes every prefix for a common one, and would rather read all orders by their time until it has a page
    full. MATERIALIZED, which the ORM does not know, keeps it from that.
    """
    prefixes = Value(" & ".join(f"'{word}':*" for word in words))
    matching = orders.filter(_Matches(_Numbers("external_order_number", "erp_order_id"), _Query(prefixes)))
    inner, parameters = matching.order_by().values("pk").query.sql_with_params()
    statement = f"WITH found AS MATERIALIZED ({inner}) SELECT * FROM found LIMIT {FEW_ORDERS + 1}"  # noqa: S608
    with connections[orders.db].cursor() as cursor:
        cursor.execute(statement, parameters)
        return [row[0] for row in cursor.fetchall()]


class _Numbers(Func):
    """As the index draft_numbers has it (migration 0002)."""

    template = (
        "array_to_tsvector(array_remove(regexp_split_to_array(lower(%(expressions)s), '[^0-9a-z]+'), ''))"
    )
    arg_joiner = " || ' ' || "
    output_field = TextField()


class _Query(Func):
    template = "%(expressions)s::tsquery"
    output_field = TextField()


class _Matches(Func):
    template = "%(expressions)s"
    arg_joiner = " @@ "
    output_field: Any = BooleanField()
