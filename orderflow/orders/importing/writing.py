"""Write a batch of checked orders to the database, in one transaction and a few statements."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID, uuid4

import msgspec
from django.db import transaction

from orderflow.orders.importing.customers import KnownCustomers, customers_of
from orderflow.orders.importing.documents import OrderIn
from orderflow.orders.models import Customer, DraftOrder, DraftOrderLine, ImportedOrder
from orderflow.orders.order_warnings import WarningLine, warnings_by_order
from orderflow.orders.readiness import Gap, gaps
from orderflow.orders.same_number import hold_customers
from orderflow.orders.states import DraftStatus
from orderflow.orders.warning_codes import OrderWarning
from orderflow.tenancy.models import Org, User

LINES_PER_STATEMENT = 1000
ELSEWHERE = "an order with the same number came in another way (API or admin); that order was left as it is"
OTHER_CONTENTS = (
    "was imported before with other contents; the order was left as it is: change it in OrderFlow"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportTarget:
    """The org that receives the orders; ``actor`` None is the system."""

    org: Org
    actor: User | None = None
    create_customers: bool = False
    dry_run: bool = False


class ImportOutcome(StrEnum):
    READY = "READY"
    NEEDS_REVIEW = "NEEDS_REVIEW"
    # The order exists already and is left as it is.
    EXISTS = "EXISTS"
    # It exists with other contents and is left as it is.
    DIFFERS = "DIFFERS"
    REFUSED = "REFUSED"


class CheckedOrder(NamedTuple):
    line: int
    order: OrderIn


class ImportResult(NamedTuple):
    """``reason``: why an order was refused or left as it was. ``gaps``: what a NEEDS_REVIEW order lacks."""

    line: int
    order: OrderIn
    outcome: ImportOutcome
    reason: str = ""
    gaps: Sequence[Gap] = ()
    warnings: Sequence[OrderWarning] = ()


class WrittenBatch(NamedTuple):
    results: list[ImportResult]
    created_customers: frozenset[str]


class _New(NamedTuple):
    checked: CheckedOrder
    mark: ImportedOrder


def write(batch: Sequence[CheckedOrder], target: ImportTarget, *, file_name: str) -> WrittenBatch:
    with transaction.atomic():
        known = customers_of([one.order for one in batch], target.org, create=target.create_customers)
        results = list(_written(batch, known, target, file_name))
        if target.dry_run:
            transaction.set_rollback(True)
    return WrittenBatch(sorted(results, key=attrgetter("line")), known.created)


def _written(
    batch: Sequence[CheckedOrder], known: KnownCustomers, target: ImportTarget, file_name: str
) -> Iterator[ImportResult]:
    theirs: dict[tuple[str, str], _New] = {}
    hold_customers([customer.pk for customer in known.customers.values()])
    before = _imported_before(batch, known)
    for one in batch:
        key, number = one.order.key, one.order.customer_number
        contents = theirs[key].mark.sha256 if key in theirs else before.get(key)
        if number in known.refused:
            yield ImportResult(*one, ImportOutcome.REFUSED, known.refused[number])
        elif contents is not None:
            yield existing(one, contents)
        else:
            theirs[key] = _New(one, _mark(one, known.customers[number], target, file_name))
    yield from _inserted(list(theirs.values()), target)


def existing(one: CheckedOrder, contents: str) -> ImportResult:
    """Return the result for an order that exists; ``contents`` is its digest, empty if it was not imported."""
    if contents == digest(one.order):
        return ImportResult(*one, ImportOutcome.EXISTS)
    if not contents:
        return ImportResult(*one, ImportOutcome.EXISTS, ELSEWHERE)
    return ImportResult(*one, ImportOutcome.DIFFERS, OTHER_CONTENTS)


def _imported_before(batch: Sequence[CheckedOrder], known: KnownCustomers) -> dict[tuple[str, str], str]:
    """Return the digest of each order that exists; empty for an order that was not imported."""
    numbers = {one.order.external_order_number for one in batch}
    customers = {customer.pk: number for number, customer in known.customers.items()}
    drafts = DraftOrder.objects.filter(customer__in=customers, external_order_number__in=numbers)
    digests = dict.fromkeys(
        ((customers[who], number) for who, number in drafts.values_list("customer", "external_order_number")),
        "",
    )
    marks = ImportedOrder.objects.filter(customer__in=customers, external_order_number__in=numbers)
    for who, number, contents in marks.values_list("customer", "external_order_number", "sha256"):
        digests[customers[who], number] = contents
    return digests


def _inserted(new: Sequence[_New], target: ImportTarget) -> Iterator[ImportResult]:
    """Insert the marks first: of two concurrent imports the database accepts one, and the other sees that it lost."""
    # Sorted, so that two imports cannot deadlock.
    marks = sorted((one.mark for one in new), key=lambda mark: (mark.customer_id, mark.external_order_number))
    ImportedOrder.objects.bulk_create(marks, ignore_conflicts=True)
    ours = set(
        ImportedOrder.objects.filter(draft_order__in=[mark.draft_order_id for mark in marks]).values_list(
            "draft_order", flat=True
        )
    )
    made: list[tuple[CheckedOrder, DraftOrder, list[Gap]]] = []
    lines: dict[UUID, list[DraftOrderLine]] = {}
    for checked, mark in new:
        if mark.draft_order_id not in ours:
            yield ImportResult(*checked, ImportOutcome.EXISTS)
            continue
        draft, own, missing = _draft(checked.order, mark, target.org)
        made.append((checked, draft, missing))
        lines[draft.pk] = own
    drafts = [draft for _checked, draft, _missing in made]
    warning_lines = {pk: [WarningLine.of(line) for line in own] for pk, own in lines.items()}
    warnings = warnings_by_order(drafts, lines=warning_lines)
    DraftOrder.objects.bulk_create(drafts, batch_size=LINES_PER_STATEMENT)
    DraftOrderLine.objects.bulk_create(
        [line for own in lines.values() for line in own], batch_size=LINES_PER_STATEMENT
    )
    for checked, draft, missing in made:
        yield ImportResult(*checked, ImportOutcome(draft.status), gaps=missing, warnings=warnings[draft.pk])


def _draft(
    order: OrderIn, mark: ImportedOrder, org: Org
) -> tuple[DraftOrder, list[DraftOrderLine], list[Gap]]:
    draft = DraftOrder(
        pk=mark.draft_order_id,
        org=org,
        customer_id=mark.customer_id,
        external_order_number=order.external_order_number,
        order_date=order.order_date,
        currency=order.currency,
        requested_delivery_date=order.requested_delivery_date,
        notes=order.notes,
    )
    lines = [DraftOrderLine(draft_order=draft, **msgspec.structs.asdict(line)) for line in order.lines]
    missing = gaps(draft, lines)
    draft.status = DraftStatus.NEEDS_REVIEW if missing else DraftStatus.READY
    return draft, lines, missing


def _mark(one: CheckedOrder, customer: Customer, target: ImportTarget, file_name: str) -> ImportedOrder:
    return ImportedOrder(
        customer=customer,
        external_order_number=one.order.external_order_number,
        draft_order_id=uuid4(),
        sha256=digest(one.order),
        file_name=file_name[:255],
        file_line=one.line,
        imported_by=target.actor,
    )


def digest(order: OrderIn) -> str:
    return sha256(msgspec.json.encode(order)).hexdigest()
