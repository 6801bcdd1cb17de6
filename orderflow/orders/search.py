"""Finding orders by what people have at hand: a number, or part of one, or the customer."""

import re
from typing import Any

from django.db import connections
from django.db.models import BooleanField, Func, Q, QuerySet, TextField, Value

from orderflow.orders.models import Customer, DraftOrder

# So many are looked up by their index; where more match, most orders do, and the newest are found soon.
FEW = 200
_WORDS = re.compile("[0-9a-z]+")


def search(orders: QuerySet[DraftOrder], customers: QuerySet[Customer], text: str) -> QuerySet[DraftOrder]:
    """``customers`` are those that may be seen.

    Each word of the text begins a word of the order number or the ERP number ("123" finds PO-12345), or the text is
    part of the customer's name, or begins the number that the ERP knows the customer by.
    """
    found = customers.filter(Q(name__icontains=text) | Q(erp_customer_number__istartswith=text)).order_by()
    few = list(found.values_list("pk", flat=True)[: FEW + 1])
    theirs = Q(customer__in=few) if len(few) <= FEW else Q(customer__in=found.values("pk"))
    numbered = _numbered(_WORDS.findall(text.lower()), connections[orders.db].vendor)
    if numbered is None:
        return orders.filter(theirs)
    return orders.filter(numbered | theirs) if few else orders.filter(numbered)


def _numbered(words: list[str], vendor: str) -> Q | None:
    if not words:
        return None
    if vendor == "postgresql":
        return Q(_Matches(_Numbers("external_order_number", "erp_order_id"), _Query(Value(_prefixes(words)))))
    condition = Q()
    for word in words:
        begins = f"(^|[^0-9A-Za-z]){word}"
        condition &= Q(external_order_number__iregex=begins) | Q(erp_order_id__iregex=begins)
    return condition


def _prefixes(words: list[str]) -> str:
    return " & ".join(f"'{word}':*" for word in words)


class _Numbers(Func):
    """As the index draft_numbers has it (migration 0003)."""

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
