"""The file format ``orderflow_export_json_v1``: typed structs, their JSON Schema, and the exact bytes."""

from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Literal
from uuid import UUID

import jsonschema_rs
import msgspec
from msgspec import Meta

from erp_connectors.connectors.exact_decimals import PRICE_STEP, QTY_STEP, exact
from erp_connectors.faults import RENDER_FAILED, SCHEMA_VIOLATION, Fault
from erp_connectors.port_types import OrderDocument, OrderLine
from orderflow.messages import Message

FORMAT_VERSION = "orderflow_export_json_v1"

Text = Annotated[str, Meta(min_length=1)]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217")]
Uom = Literal["ST", "M", "CM", "MM", "KG", "G", "L", "ML", "KAR", "PAL", "SET"]
UtcTime = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", description="ISO 8601, UTC")]


class Customer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: UUID
    erp_customer_number: str | None
    name: Text


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    external_order_number: str | None
    order_date: date | None
    currency: Currency
    requested_delivery_date: date | None
    notes: str | None


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    line_no: Annotated[int, Meta(ge=1)]
    internal_sku: Text
    qty: Annotated[Decimal, Meta(description="exact, 3 decimals")]
    uom: Uom
    unit_price: Annotated[Decimal, Meta(description="exact, 4 decimals")] | None
    currency: Currency
    customer_sku_raw: str | None
    description: str | None


class SourceDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    document_id: UUID
    file_name: Text
    sha256: str


class Origin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    created_by: Annotated[str, Meta(description="e-mail of the person who approved the order")]
    source_document: SourceDocument | None


class ExportFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    export_version: Literal["orderflow_export_json_v1"]
    org_slug: Text
    draft_order_id: UUID
    approved_at: UtcTime
    customer: Customer
    header: Header
    lines: Annotated[tuple[Line, ...], Meta(min_length=1)]
    meta: Origin


class _Identity(msgspec.Struct, frozen=True):
    draft_order_id: UUID


_encoder = msgspec.json.Encoder(decimal_format="number")


def render(order: OrderDocument) -> bytes:
    """UTF-8 JSON with every decimal exact. Raises `Fault` RENDER_FAILED or SCHEMA_VIOLATION."""
    try:
        body = _encoder.encode(_export_file(order))
    except (ValueError, ArithmeticError) as error:
        raise Fault(RENDER_FAILED, str(error)) from error
    check(body)
    return body


def order_of(body: bytes) -> UUID | None:
    """Return the draft order of a rendered file; None if it is not one."""
    try:
        return msgspec.json.decode(body, type=_Identity).draft_order_id
    except msgspec.MsgspecError:
        return None


def check(body: bytes) -> None:
    """Hold bytes against the published schema. Raises `Fault` SCHEMA_VIOLATION that names the place."""
    try:
        file = msgspec.json.decode(body)
    except msgspec.DecodeError as wrong:
        raise Fault(SCHEMA_VIOLATION, Message("render.not_json", error=str(wrong))) from None
    if _validator().is_valid(file):
        return
    for error in _validator().iter_errors(file):
        place = "/".join(str(part) for part in error.instance_path) or "/"
        raise Fault(SCHEMA_VIOLATION, f"{place}: {error.message}.")


@cache
def schema() -> dict[str, Any]:
    """The published JSON Schema (draft 2020-12), generated from the structs above."""
    (_,), definitions = msgspec.json.schema_components([ExportFile], ref_template="#/$defs/{name}")
    root: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{FORMAT_VERSION}.schema.json",
        **definitions.pop("ExportFile"),
        "$defs": definitions,
    }
    _decimals_are_numbers(root)
    return root


@cache
def _validator() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema(), validate_formats=True)


def _decimals_are_numbers(node: Any) -> None:
    # msgspec describes Decimal as a string; our encoder writes numbers.
    if isinstance(node, list):
        for item in node:
            _decimals_are_numbers(item)
    elif isinstance(node, dict):
        if node.get("format") == "decimal":
            node.pop("format")
            node["type"] = "number"
        for item in node.values():
            _decimals_are_numbers(item)


def _export_file(order: OrderDocument) -> ExportFile:
    return ExportFile(
        export_version="orderflow_export_json_v1",
        org_slug=order.org_slug,
        draft_order_id=order.draft_order_id,
        approved_at=_utc(order.approved_at),
        customer=Customer(
            id=order.customer.id,
            erp_customer_number=order.customer.erp_customer_number,
            name=order.customer.name,
        ),
        header=Header(
            external_order_number=order.external_order_number,
            order_date=order.order_date,
            currency=order.currency,
            requested_delivery_date=order.requested_delivery_date,
            notes=order.notes,
        ),
        lines=tuple(_line(line) for line in order.lines),
        meta=Origin(created_by=order.approved_by, source_document=_source_document(order)),
    )


def _line(line: OrderLine) -> Line:
    return Line(
        line_no=line.line_no,
        internal_sku=line.internal_sku,
        qty=exact(line.qty, QTY_STEP, line.line_no, "qty"),
        uom=line.uom,  # type: ignore[arg-type]  # held by the schema check
        unit_price=None
        if line.unit_price is None
        else exact(line.unit_price, PRICE_STEP, line.line_no, "unit_price"),
        currency=line.currency,
        customer_sku_raw=line.customer_sku_raw,
        description=line.description,
    )


def _source_document(order: OrderDocument) -> SourceDocument | None:
    source = order.source_document
    if source is None:
        return None
    return SourceDocument(document_id=source.document_id, file_name=source.file_name, sha256=source.sha256)


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
