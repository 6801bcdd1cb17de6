"""Find what is unusual about an order. A warning blocks nothing; `warning_codes` has its codes, `messages` its texts.

The API, the admin, the import and the commands use this module.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import islice
from statistics import median
from typing import NamedTuple
from uuid import UUID

from django.db.models import Count, Exists, F, OuterRef, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from orderflow.input_rules.currencies import DECIMALS
from orderflow.input_rules.keys import described, look_alikes
from orderflow.orders.erp_numbers import is_placeholder
from orderflow.orders.models import Customer, DraftOrder, DraftOrderLine
from orderflow.orders.states import DraftStatus
from orderflow.orders.warning_codes import Code, OrderWarning

# The last time zone is 12 hours behind UTC: a date that is past there is past everywhere.
LAST_ZONE = timedelta(hours=12)
OLDEST, ORDERED_AHEAD, DELIVERED_AHEAD = timedelta(days=1826), timedelta(days=31), timedelta(days=1095)
# A quantity is unusual only if there are at least ENOUGH earlier ones of the same article and unit.
EARLIER_ORDERS, ENOUGH, FACTOR = 20, 3, 5
LISTED_LINES, LISTED_ORDERS = 10, 3
SKUS_PER_STATEMENT = 5000
NAMES_CURRENCY = (Code.LINE_CURRENCY_DIFFERS, Code.PRICE_HAS_DECIMALS)
_S = DraftStatus
SENT = (_S.APPROVED, _S.PUSHING, _S.PUSHED)


class WarningLine(NamedTuple):
    """The fields of a line that warnings depend on."""

    line_no: int
    internal_sku: str
    qty: Decimal
    uom: str
    unit_price: Decimal | None
    currency: str

    @classmethod
    def of(cls, line: DraftOrderLine) -> "WarningLine":
        return cls(line.line_no, line.internal_sku, line.qty, line.uom, line.unit_price, line.currency)


def warnings_of(draft: DraftOrder, lines: Sequence[DraftOrderLine] | None = None) -> list[OrderWarning]:
    """Return the warnings of one order. Pass ``lines`` if the order is not in the database yet."""
    by_order = None if lines is None else {draft.pk: [WarningLine.of(line) for line in lines]}
    return warnings_by_order([draft], lines=by_order)[draft.pk]


def warnings_by_order(
    drafts: Sequence[DraftOrder],
    *,
    lines: Mapping[UUID, Sequence[WarningLine]] | None = None,
    now: datetime | None = None,
) -> dict[UUID, list[OrderWarning]]:
    """Return the warnings of each order by its id; the number of statements does not depend on the number of orders.

    A PUSHED order has only repeated order numbers and doubtful ERP numbers, a REJECTED one no warnings.
    ``now`` is the current time unless a test sets it.
    """
    now = now or timezone.now()
    found: dict[UUID, list[OrderWarning]] = {draft.pk: [] for draft in drafts}
    alive = [draft for draft in drafts if draft.status != _S.REJECTED]
    unsent = [draft for draft in alive if draft.status != _S.PUSHED]
    for pk, warning in _repeated(alive).items():
        found[pk].append(warning)
    if unsent:
        lines = _lines(unsent) if lines is None else lines
        usual = _UsualQuantities(unsent, lines)
        customers = _customers(unsent)
        for draft in unsent:
            found[draft.pk] += _look_alikes(draft, lines.get(draft.pk, ()))
            found[draft.pk] += _customer_changed(draft, customers)
            found[draft.pk] += _of_lines(draft, lines.get(draft.pk, ()), usual)
            found[draft.pk] += _of_dates(draft, (now - LAST_ZONE).date())
    for pk, warning in _erp_numbers(alive):
        found[pk].append(warning)
    return found


def _repeated(drafts: Sequence[DraftOrder]) -> dict[UUID, OrderWarning]:
    numbered = [draft for draft in drafts if draft.customer_id and draft.external_order_number]
    if not numbered:
        return {}
    same = DraftOrder.objects.filter(
        org__in={draft.org_id for draft in numbered},
        customer__in={draft.customer_id for draft in numbered},
        external_order_number__in={draft.external_order_number for draft in numbered},
    ).exclude(status=_S.REJECTED)
    key = ("customer", "external_order_number")
    counted = same.order_by().values(*key).annotate(n=Count("pk"))
    counts = {(row["customer"], row["external_order_number"]): row["n"] for row in counted}
    if not any(
        counts.get((draft.customer_id, draft.external_order_number), 0) > _own(draft) for draft in numbered
    ):
        return {}
    newest: dict[tuple[UUID | None, str], list[tuple[UUID, str]]] = defaultdict(list)
    rank = Window(RowNumber(), partition_by=[F(name) for name in key], order_by=F("created_at").desc())
    ranked = same.order_by("-created_at").annotate(rank=rank).filter(rank__lte=LISTED_ORDERS + 1)
    for pk, customer, number, status in ranked.values_list("pk", *key, "status"):
        newest[customer, number].append((pk, status))
    warnings = {}
    for draft in numbered:
        same_key = (draft.customer_id, draft.external_order_number)
        others = [one for one in newest[same_key] if one[0] != draft.pk][:LISTED_ORDERS]
        if others:
            params = {
                "count": counts[same_key] + 1 - _own(draft),
                "status": others[0][1],
                "order_ids": [str(pk) for pk, _status in others],
            }
            warnings[draft.pk] = OrderWarning(Code.ORDER_NUMBER_REPEATED, params)
    return warnings


def _own(draft: DraftOrder) -> int:
    """Return 1 if the order itself is in the database, else 0."""
    return 0 if draft._state.adding else 1  # Django documents `_state`


def _look_alikes(draft: DraftOrder, lines: Sequence[WarningLine]) -> list[OrderWarning]:
    keys = dict.fromkeys([draft.external_order_number, *(line.internal_sku for line in lines)])
    letters = {letter for key in keys for letter in look_alikes(key)}
    if not letters:
        return []
    listed = [key for key in keys if look_alikes(key)][:LISTED_LINES]
    return [
        OrderWarning(Code.LETTERS_LOOK_ALIKE, {"letters": described(tuple(sorted(letters))), "keys": listed})
    ]


def _customers(drafts: Sequence[DraftOrder]) -> Mapping[UUID, Customer]:
    """Return the customers of the orders that have a frozen customer to compare."""
    ids = {draft.customer_id for draft in drafts if draft.customer_id and draft.approved_customer_name}
    return Customer.objects.in_bulk(ids) if ids else {}


def _customer_changed(draft: DraftOrder, customers: Mapping[UUID, Customer]) -> list[OrderWarning]:
    customer = customers.get(draft.customer_id) if draft.customer_id else None
    if customer is None or not draft.approved_customer_name:
        return []
    approved = (draft.approved_customer_name, draft.approved_customer_number)
    now = (customer.name, customer.erp_customer_number)
    if approved == now:
        return []
    return [OrderWarning(Code.CUSTOMER_CHANGED, {"approved": _named(*approved), "now": _named(*now)})]


def _named(name: str, number: str) -> str:
    return f"{name} ({number})" if number else name


def _of_lines(
    draft: DraftOrder, lines: Sequence[WarningLine], usual: "_UsualQuantities"
) -> list[OrderWarning]:
    currency = draft.currency
    kinds: dict[Code, list[int]] = {
        Code.LINE_CURRENCY_DIFFERS: [
            line.line_no for line in lines if line.currency and currency and line.currency != currency
        ],
        Code.PRICE_NOT_POSITIVE: [
            line.line_no for line in lines if line.unit_price is not None and line.unit_price <= 0
        ],
        Code.PRICE_HAS_DECIMALS: [line.line_no for line in lines if _has_decimals(line, currency)],
        Code.QUANTITY_UNUSUAL: [line.line_no for line in lines if usual.is_exceeded(draft, line)],
    }
    return [
        OrderWarning(
            code,
            {
                **({"currency": currency} if code in NAMES_CURRENCY else {}),
                "lines": numbers[:LISTED_LINES],
                "count": len(numbers),
            },
        )
        for code, numbers in kinds.items()
        if numbers
    ]


def _has_decimals(line: WarningLine, currency: str) -> bool:
    price = line.unit_price
    return (
        price is not None
        and DECIMALS.get(line.currency or currency) == 0
        and price != price.to_integral_value()
    )


def _of_dates(draft: DraftOrder, today: date) -> list[OrderWarning]:
    ordered, wanted = draft.order_date, draft.requested_delivery_date
    found = []
    if ordered and not today - OLDEST <= ordered <= today + ORDERED_AHEAD:
        found.append(OrderWarning(Code.ORDER_DATE_IMPLAUSIBLE, {"date": ordered.isoformat()}))
    if wanted is None:
        return found
    params = {"date": wanted.isoformat()}
    if not today - OLDEST <= wanted <= today + DELIVERED_AHEAD:
        found.append(OrderWarning(Code.DELIVERY_DATE_IMPLAUSIBLE, params))
    elif wanted < today:
        found.append(OrderWarning(Code.DELIVERY_DATE_PAST, params))
    elif ordered and wanted < ordered:
        found.append(
            OrderWarning(Code.DELIVERY_BEFORE_ORDER_DATE, {**params, "order_date": ordered.isoformat()})
        )
    return found


class _UsualQuantities:
    """Quantities that the customers of these orders ordered before, by article and unit."""

    def __init__(self, drafts: Sequence[DraftOrder], lines: Mapping[UUID, Sequence[WarningLine]]) -> None:
        self._quantities: dict[tuple[UUID, str, str], list[Decimal]] = defaultdict(list)
        customers = {draft.customer_id for draft in drafts if draft.customer_id}
        skus = sorted({line.internal_sku for own in lines.values() for line in own if line.internal_sku})
        earlier = self._earlier(customers, {draft.pk for draft in drafts}) if skus else {}
        for some in _pages(skus, SKUS_PER_STATEMENT) if earlier else ():
            rows = DraftOrderLine.objects.filter(
                draft_order__in=list(earlier), internal_sku__in=some
            ).order_by()
            for draft_id, sku, uom, qty in rows.values_list("draft_order", "internal_sku", "uom", "qty"):
                self._quantities[earlier[draft_id], sku, uom].append(qty)

    def is_exceeded(self, draft: DraftOrder, line: WarningLine) -> bool:
        """Return whether the quantity is far above the usual ones."""
        if draft.customer_id is None or line.qty is None:
            return False
        known = self._quantities.get((draft.customer_id, line.internal_sku, line.uom), ())
        if len(known) < ENOUGH:
            return False
        return line.qty >= FACTOR * median(known) and line.qty > max(known)

    @staticmethod
    def _earlier(customers: Collection[UUID], own: Collection[UUID]) -> dict[UUID, UUID]:
        """Return the customer of each of the newest approved orders, by the order's id."""
        sent = DraftOrder.objects.filter(customer__in=customers, status__in=SENT).exclude(pk__in=own)
        if len(customers) == 1:
            # Read from the end of an index: fast also for a customer with many orders.
            return dict(sent.order_by("-created_at").values_list("pk", "customer")[:EARLIER_ORDERS])
        rank = Window(RowNumber(), partition_by=F("customer"), order_by=F("created_at").desc())
        ranked = sent.order_by().annotate(rank=rank).filter(rank__lte=EARLIER_ORDERS)
        return dict(ranked.values_list("pk", "customer"))


def _lines(drafts: Sequence[DraftOrder]) -> dict[UUID, list[WarningLine]]:
    lines: dict[UUID, list[WarningLine]] = {}
    unread = []
    for draft in drafts:
        if "lines" in getattr(draft, "_prefetched_objects_cache", {}):
            lines[draft.pk] = [WarningLine.of(line) for line in draft.lines.all()]
        else:
            lines[draft.pk] = []
            unread.append(draft.pk)
    rows = DraftOrderLine.objects.filter(draft_order__in=unread).order_by("draft_order", "line_no")
    for draft_id, *values in rows.values_list("draft_order", *WarningLine._fields) if unread else ():
        lines[draft_id].append(WarningLine(*values))
    return lines


def _erp_numbers(drafts: Sequence[DraftOrder]) -> Iterable[tuple[UUID, OrderWarning]]:
    numbered = {draft.pk: draft for draft in drafts if draft.erp_order_id}
    if not numbered:
        return
    for pk in (
        DraftOrder.objects.filter(pk__in=numbered).filter(shares_erp_number()).values_list("pk", flat=True)
    ):
        yield pk, OrderWarning(Code.ERP_NUMBER_SHARED, {"number": numbered[pk].erp_order_id})
    for pk, draft in numbered.items():
        if is_placeholder(draft.erp_order_id):
            yield pk, OrderWarning(Code.ERP_NUMBER_PLACEHOLDER, {"number": draft.erp_order_id})


def shares_erp_number() -> Exists:
    """Return the condition that another order of the org has the same ERP number. One index look-up per order."""
    others = DraftOrder.objects.order_by().filter(org=OuterRef("org"), erp_order_id=OuterRef("erp_order_id"))
    return Exists(others.exclude(pk=OuterRef("pk")))


def _pages(values: Sequence[str], size: int) -> Iterable[list[str]]:
    left = iter(values)
    while page := list(islice(left, size)):
        yield page
