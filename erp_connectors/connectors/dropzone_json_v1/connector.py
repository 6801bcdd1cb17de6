"""``DROPZONE_JSON_V1``: one JSON file per order in a folder, answered by ack files in another."""

from typing import ClassVar
from uuid import UUID

from erp_connectors.connectors.base import NoOptions, Schemas
from erp_connectors.connectors.dropzone_json_v1 import (
    messages,  # noqa: F401  # it registers the texts of `payload`
    payload,
)
from erp_connectors.connectors.json_acks import ack_schema
from erp_connectors.connectors.json_acks.connector import JsonAckConnector
from erp_connectors.port_types import OrderDocument

ENDING = ".json"


class DropzoneJsonV1(JsonAckConnector[NoOptions]):
    type: ClassVar[str] = "DROPZONE_JSON_V1"
    version: ClassVar[str] = payload.FORMAT_VERSION
    content_type: ClassVar[str] = "application/json"

    def ending(self, options: NoOptions | None) -> str:
        return ENDING

    def identify(self, filename: str, body: bytes) -> UUID | None:
        return payload.order_of(body)

    def render(self, order: OrderDocument, options: NoOptions) -> bytes:
        return payload.render(order)

    def schemas(self) -> Schemas:
        return Schemas(export=payload.schema(), ack=ack_schema.SCHEMA)
