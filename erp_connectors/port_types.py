"""Frozen values that travel between services, connectors and transports."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

import msgspec

from erp_connectors.faults import Fault
from orderflow.messages import Message


class OrderCustomer(msgspec.Struct, frozen=True):
    id: UUID
    erp_customer_number: str | None
    name: str


class OrderLine(msgspec.Struct, frozen=True):
    line_no: int
    internal_sku: str
    qty: Decimal
    uom: str
    unit_price: Decimal | None
    currency: str
    customer_sku_raw: str | None
    description: str | None


class SourceDocument(msgspec.Struct, frozen=True):
    document_id: UUID
    file_name: str
    sha256: str


class OrderDocument(msgspec.Struct, frozen=True):
    """An approved order as a connector sees it: complete, and free of any database."""

    draft_order_id: UUID
    org_slug: str
    approved_at: datetime
    approved_by: str
    customer: OrderCustomer
    external_order_number: str | None
    order_date: date | None
    currency: str
    requested_delivery_date: date | None
    notes: str | None
    lines: tuple[OrderLine, ...]
    source_document: SourceDocument | None


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to write whole under ``path``; ``mode`` is its permission bits, None leaves the server's default."""

    path: str
    data: bytes
    mode: int | None = None


@dataclass(frozen=True, slots=True)
class Move:
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a folder; ``mtime`` is the server's own clock, comparable only with itself."""

    name: str
    size: int
    mtime: int
    is_file: bool


@dataclass(frozen=True, slots=True)
class Ack:
    """The ERP's answer to one export.

    ``export_filename``: the export's file name; empty if the name of the answer file says it.
    """

    accepted: bool
    erp_order_id: str | None
    error_code: str | None
    message: str | None
    processed_at: datetime | None
    export_filename: str = ""


@dataclass(frozen=True, slots=True)
class PresentedKey:
    """A server's public key; ``fingerprint`` as ``ssh-keygen -lf`` prints it, ``line`` as in authorized_keys."""

    type: str
    fingerprint: str
    line: str


@dataclass(frozen=True, slots=True)
class MissingKey:
    """A key that a server offers but did not show, and the fault that it gave instead."""

    type: str
    fault: Fault


@dataclass(frozen=True, slots=True)
class PresentedKeys:
    shown: tuple[PresentedKey, ...] = ()
    missing: tuple[MissingKey, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerCapability:
    """Whether a server can do something, or lets us; the names are those of `services.connections.capabilities`."""

    name: str
    there: bool


class GuaranteeLevel(StrEnum):
    EXACTLY_ONCE = "EXACTLY_ONCE"
    AT_LEAST_ONCE = "AT_LEAST_ONCE"


@dataclass(frozen=True, slots=True)
class Guarantee:
    """How often one order file may appear in a dropzone; ``reason``: for users."""

    level: GuaranteeLevel
    reason: Message


@dataclass(frozen=True, slots=True)
class ProbeStep:
    """One step of a connection test: its name, duration, and result or fault."""

    name: str
    label: str
    duration_ms: int
    found: Message | None = None
    fault: Fault | None = None
    server_capabilities: tuple[ServerCapability, ...] = ()
    guarantee: Guarantee | None = None

    @property
    def ok(self) -> bool:
        return self.fault is None
