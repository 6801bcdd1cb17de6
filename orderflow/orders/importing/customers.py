"""An org's customers by their number in its ERP."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from orderflow.orders.importing.documents import OrderIn
from orderflow.orders.models import Customer
from orderflow.tenancy.models import Org

UNKNOWN = (
    "no customer of this org has this number; correct it, add the customer, or let the import add it "
    "(--create-customers)"
)


class KnownCustomers(NamedTuple):
    """``refused`` says of a number why no customer can be chosen for it."""

    customers: Mapping[str, Customer]
    refused: Mapping[str, str]
    created: frozenset[str]


def customers_of(orders: Sequence[OrderIn], org: Org, *, create: bool) -> KnownCustomers:
    """Return the customers, within a transaction. Create missing ones only if ``create`` is set, and only once."""
    wanted = {order.customer_number: order for order in orders}
    found = _found(org, wanted)
    missing = wanted.keys() - found.keys()
    created: frozenset[str] = frozenset()
    if create and missing:
        # Nothing else keeps two imports at once from creating the same customer; orders of others go on meanwhile.
        Org.objects.select_for_update(no_key=True).get(pk=org.pk)
        found |= _found(org, missing)
        created = frozenset(missing - found.keys())
        found |= _created(org, [wanted[number] for number in sorted(created)])
    refused = dict.fromkeys(missing - found.keys(), UNKNOWN)
    refused |= {
        number: f"{len(several)} customers have this number; take it from all but one"
        for number, several in found.items()
        if len(several) > 1
    }
    return KnownCustomers({number: several[0] for number, several in found.items()}, refused, created)


def _found(org: Org, numbers: Mapping[str, OrderIn] | set[str]) -> dict[str, list[Customer]]:
    found: dict[str, list[Customer]] = {}
    for customer in Customer.objects.for_org(org).filter(erp_customer_number__in=list(numbers)):
        found.setdefault(customer.erp_customer_number, []).append(customer)
    return found


def _created(org: Org, first_orders: Sequence[OrderIn]) -> dict[str, list[Customer]]:
    new = [
        Customer(
            org=org,
            name=order.customer_name or order.customer_number,
            erp_customer_number=order.customer_number,
            default_currency=order.currency,
        )
        for order in first_orders
    ]
    Customer.objects.bulk_create(new)
    return {customer.erp_customer_number: [customer] for customer in new}
