"""Example orders that others published, where they lie beside the checkout."""

import json
from decimal import Decimal

from erp_connectors.faults import ORDER_INCOMPLETE, Fault
from erp_connectors.services.exports.order_snapshot import order_documents
from erp_connectors.services.exports.push import push_many
from orderflow.orders.models import Customer, Document, DraftOrder, DraftOrderLine
from orderflow.orders.readiness import missing_for_ready
from orderflow.orders.states import DraftStatus, Uom
from tests import factories


def load(org, order):
    buyer = order["customer"]
    number = buyer["erp_customer_number"] or ""
    customer = Customer.objects.get_or_create(org=org, name=buyer["name"], erp_customer_number=number)[0]
    draft = DraftOrder.objects.create(
        org=org,
        customer=customer,
        document=Document.objects.create(org=org, **order["document"]),
        external_order_number=order["external_order_number"],
        order_date=order["order_date"],
        currency=order["currency"],
        requested_delivery_date=order["requested_delivery_date"],
        notes=order["notes"] or "",
        status=DraftStatus.EXTRACTED,
    )
    for line in order["lines"]:
        price = line["unit_price"]
        DraftOrderLine.objects.create(
            draft_order=draft,
            line_no=line["line_no"],
            internal_sku=line["internal_sku"] or "",
            customer_sku_raw=line["customer_sku_raw"] or "",
            product_description=line["product_description"] or "",
            qty=Decimal(line["qty"]),
            uom=line["uom"] if line["uom"] in Uom.values else "",
            unit_price=None if price is None else Decimal(price),
            currency=line["currency"],
        )
    return draft


def test_published_orders_are_kept_exactly_and_what_they_lack_is_named(db, shared_data):
    org = factories.org()
    orders = json.loads((shared_data / "peppol-orders.json").read_text())
    drafts = [load(org, order) for order in orders]

    for order, draft in zip(orders, drafts, strict=True):
        fresh = DraftOrder.objects.get(pk=draft.pk)
        kept = [(line.qty, line.unit_price) for line in fresh.lines.all()]
        given = [
            (Decimal(line["qty"]), None if line["unit_price"] is None else Decimal(line["unit_price"]))
            for line in order["lines"]
        ]
        assert kept == given
        lacking = any(not line["internal_sku"] or line["uom"] not in Uom.values for line in order["lines"])
        assert bool(missing_for_ready(fresh)) == lacking
    complete = [draft for draft in drafts if not missing_for_ready(draft)]
    assert complete
    assert not any(
        result
        for result in push_many(factories.ids(complete), actor=None).values()
        if hasattr(result, "export")
    )
    documents = order_documents({draft.pk: draft.lines.count() for draft in drafts})
    assert set(documents) == set(factories.ids(drafts))
    incomplete = [
        one for one in documents.values() if isinstance(one, Fault) and one.kind is ORDER_INCOMPLETE
    ]
    assert incomplete == []
