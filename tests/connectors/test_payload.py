import json
import tracemalloc
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from erp_connectors.connectors.dropzone_json_v1 import DropzoneJsonV1, payload
from erp_connectors.faults import SCHEMA_VIOLATION, Fault
from erp_connectors.port_types import OrderCustomer, OrderDocument, OrderLine, SourceDocument

ID = UUID("550e8400-e29b-41d4-a716-446655440000")
LINE = OrderLine(
    line_no=1,
    internal_sku="INT-999",
    qty=Decimal(10),
    uom="M",
    unit_price=Decimal("1.23"),
    currency="EUR",
    customer_sku_raw="AB-123",
    description="Kabel NYM-J 3x1,5",
)
ORDER = OrderDocument(
    draft_order_id=ID,
    org_slug="acme",
    approved_at=datetime(2025, 12, 26, 10, 0, tzinfo=UTC),
    approved_by="ops@acme.de",
    customer=OrderCustomer(id=ID, erp_customer_number="4711", name="Muster GmbH"),
    external_order_number="PO-12345",
    order_date=date(2025, 12, 1),
    currency="EUR",
    requested_delivery_date=date(2025, 12, 10),
    notes="Urgent delivery",
    lines=(LINE,),
    source_document=SourceDocument(document_id=ID, file_name="order.pdf", sha256="abc123"),
)


def order(**fields):
    return msgspec.structs.replace(ORDER, **fields)


def with_line(**fields):
    return order(lines=(msgspec.structs.replace(LINE, **fields),))


def test_the_published_example():
    assert json.loads(payload.render(ORDER)) == {
        "export_version": "orderflow_export_json_v1",
        "org_slug": "acme",
        "draft_order_id": str(ID),
        "approved_at": "2025-12-26T10:00:00Z",
        "customer": {"id": str(ID), "erp_customer_number": "4711", "name": "Muster GmbH"},
        "header": {
            "external_order_number": "PO-12345",
            "order_date": "2025-12-01",
            "currency": "EUR",
            "requested_delivery_date": "2025-12-10",
            "notes": "Urgent delivery",
        },
        "lines": [
            {
                "line_no": 1,
                "internal_sku": "INT-999",
                "qty": 10.0,
                "uom": "M",
                "unit_price": 1.23,
                "currency": "EUR",
                "customer_sku_raw": "AB-123",
                "description": "Kabel NYM-J 3x1,5",
            }
        ],
        "meta": {
            "created_by": "ops@acme.de",
            "source_document": {"document_id": str(ID), "file_name": "order.pdf", "sha256": "abc123"},
        },
    }


def test_absent_values_are_null_and_no_key_is_missing():
    bare = order(
        external_order_number=None,
        order_date=None,
        requested_delivery_date=None,
        notes=None,
        source_document=None,
        customer=OrderCustomer(id=ID, erp_customer_number=None, name="M"),
        lines=(msgspec.structs.replace(LINE, unit_price=None, customer_sku_raw=None, description=None),),
    )

    full, empty = json.loads(payload.render(ORDER)), json.loads(payload.render(bare))

    assert full.keys() == empty.keys()
    assert full["header"].keys() == empty["header"].keys()
    assert full["lines"][0].keys() == empty["lines"][0].keys()
    assert empty["meta"] == {"created_by": "ops@acme.de", "source_document": None}


@pytest.mark.parametrize("price", ["12345678901234.5678", "99999999999999.9999", "0.0001", "-0.5000", "1E+3"])
def test_no_digit_of_a_price_is_lost(price):
    written = json.loads(payload.render(with_line(unit_price=Decimal(price))), parse_float=Decimal)

    assert written["lines"][0]["unit_price"] == Decimal(price)
    text = payload.render(with_line(unit_price=Decimal(price))).split(b'"unit_price":')[1].split(b",")[0]
    assert b"E" not in text


@pytest.mark.parametrize("qty", ["NaN", "Infinity", "1.0001"])
def test_a_quantity_that_the_format_cannot_carry_is_refused_by_line(qty):
    with pytest.raises(Fault) as caught:
        payload.render(with_line(qty=Decimal(qty)))
    assert caught.value.code == "RENDER_FAILED"
    assert caught.value.detail
    assert (caught.value.detail.params["line"], caught.value.detail.params["field"]) == (1, "qty")


@pytest.mark.parametrize(
    ("document", "place"),
    [
        (with_line(internal_sku=""), "lines/0/internal_sku"),
        (with_line(uom="PIECES"), "lines/0/uom"),
        (order(currency="Euro"), "header/currency"),
        (order(lines=()), "lines"),
    ],
)
def test_what_breaks_the_schema_is_named(document, place):
    with pytest.raises(Fault, match=place) as caught:
        payload.render(document)
    assert caught.value.code == "SCHEMA_VIOLATION"


def test_times_are_utc_whatever_zone_they_come_in():
    berlin = timezone(timedelta(hours=1))
    file = json.loads(payload.render(order(approved_at=datetime(2025, 12, 26, 11, 0, tzinfo=berlin))))

    assert file["approved_at"] == "2025-12-26T10:00:00Z"


def test_the_published_schema_is_the_one_that_files_are_checked_with():
    published = Path(__file__).parents[2] / "docs" / "schemas" / "orderflow_export_json_v1.schema.json"

    assert json.loads(published.read_text()) == payload.schema()


def test_fifty_thousand_lines_are_written():
    big = order(lines=tuple(msgspec.structs.replace(LINE, line_no=n) for n in range(1, 50_001)))
    tracemalloc.start()
    body = payload.render(big)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert len(json.loads(body)["lines"]) == 50_000
    assert peak < 20 * len(body)


def test_file_names_say_order_and_moment():
    name = DropzoneJsonV1().filename(ID, at=datetime(2025, 12, 27, 10, 0, tzinfo=UTC), token="abc12345")

    assert name == "sales_order_550e8400_20251227_100000_abc12345.json"


@pytest.mark.parametrize("body", [b"", b'{"export_version": ', b"\xff", b"null"])
def test_what_is_no_export_file_is_told(body):
    with pytest.raises(Fault) as told:
        payload.check(body)

    assert told.value.kind is SCHEMA_VIOLATION
