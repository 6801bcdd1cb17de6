"""Rows for tests, each with everything it needs and nothing more."""

from datetime import date
from decimal import Decimal
from functools import cache
from itertools import count
from typing import Any
from uuid import UUID

from django.contrib.auth.hashers import get_hasher, make_password
from django.utils import timezone

from erp_connectors.models import ERPConnection, ERPExport
from orderflow.orders.models import Customer, DraftOrder, DraftOrderLine
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.models import Org, User
from orderflow.tenancy.roles import Role

_numbers = count(1)
PASSWORD = "correct horse battery"


def org(**fields: Any) -> Org:
    n = next(_numbers)
    return Org.objects.create(**{"name": f"Großhandel {n}", "slug": f"org-{n}", **fields})


def user(of: Org | None, role: Role | None = Role.OPS, **fields: Any) -> User:
    email, role = f"user{next(_numbers)}@example.com", role if of else None
    return User.objects.create(
        email=email, org=of, role=role, password=_hashed_password(get_hasher().algorithm), **fields
    )


@cache
def _hashed_password(algorithm: str) -> str:
    """Hash the one password once: production's hasher takes half a second."""
    return make_password(PASSWORD, hasher=algorithm)


def customer(of: Org, **fields: Any) -> Customer:
    values = {"name": "Müller & Söhne GmbH", "erp_customer_number": "4711", "default_currency": "EUR"}
    return Customer.objects.create(org=of, **{**values, **fields})


def draft(
    of: Org, *, status: DraftStatus = DraftStatus.APPROVED, lines: int = 2, **fields: Any
) -> DraftOrder:
    """A complete order in any status; approved ones have an approver."""
    return drafts(of, 1, status=status, lines=lines, **fields)[0]


def drafts(
    of: Org, how_many: int, *, status: DraftStatus = DraftStatus.APPROVED, lines: int = 2, **fields: Any
) -> list[DraftOrder]:
    """Orders of one customer, approved by one user."""
    values: dict[str, Any] = {
        "customer": fields.pop("customer", None) or customer(of),
        "order_date": date(2026, 11, 2),
        "currency": "EUR",
        "notes": "Lieferung bis 10 Uhr",
        "status": status,
    }
    if status in (DraftStatus.APPROVED, DraftStatus.PUSHING, DraftStatus.PUSHED, DraftStatus.ERROR):
        values |= {"approved_by": user(of), "approved_at": timezone.now()}
    made = [
        DraftOrder(org=of, **{"external_order_number": f"PO-{next(_numbers):05}", **values, **fields})
        for _ in range(how_many)
    ]
    DraftOrder.objects.bulk_create(made, batch_size=1000)
    DraftOrderLine.objects.bulk_create(
        [
            DraftOrderLine(
                draft_order=order,
                line_no=n,
                internal_sku=f"INT-{n:04}",
                customer_sku_raw=f"AB-{n}",
                product_description="Kabel NYM-J 3x1,5 mm²",
                qty=Decimal("10.500"),
                uom="M",
                unit_price=Decimal("1.2345"),
                currency="EUR",
            )
            for order in made
            for n in range(1, lines + 1)
        ],
        batch_size=1000,  # a statement has 65,535 parameters at most
    )
    return made


def set_status(row: DraftOrder | ERPExport, status: str, **fields: Any) -> None:
    """Put an order or an export into any status, without the effects of a transition."""
    type(row).objects.filter(pk=row.pk).update(status=status, **fields)
    for name, value in {"status": status, **fields}.items():
        setattr(row, name, value)


def connection(of: Org, config: dict[str, Any], **fields: Any) -> ERPConnection:
    values = {"connector_type": "DROPZONE_JSON_V1", **fields}
    return ERPConnection.objects.create(org=of, config=config, **values)


def ids(rows: list[DraftOrder]) -> list[UUID]:
    return [row.pk for row in rows]
