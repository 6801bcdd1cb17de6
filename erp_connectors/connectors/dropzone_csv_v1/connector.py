"""``DROPZONE_CSV_V1``: one file of delimited text per order, answered by ack files."""

import codecs
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

from erp_connectors.config_fields import ConfigField
from erp_connectors.connectors.base import Schemas
from erp_connectors.connectors.dropzone_csv_v1 import (
    messages,  # noqa: F401  # it registers the texts of `options` and `render`
    render,
)
from erp_connectors.connectors.dropzone_csv_v1 import (
    options as csv_options,
)
from erp_connectors.connectors.dropzone_csv_v1.options import CODECS, CsvOptions, layout_of
from erp_connectors.connectors.json_acks import ack_schema
from erp_connectors.connectors.json_acks.connector import JsonAckConnector
from erp_connectors.port_types import OrderDocument

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class DropzoneCsvV1(JsonAckConnector[CsvOptions]):
    type: ClassVar[str] = "DROPZONE_CSV_V1"
    version: ClassVar[str] = "orderflow_export_csv_v1"
    content_type: ClassVar[str] = "text/csv"
    Options = CsvOptions

    def fields(self) -> Sequence[ConfigField]:
        return csv_options.FIELDS

    def parse(self, raw: Mapping[str, Any]) -> CsvOptions:
        return csv_options.parse(raw)

    def ending(self, options: CsvOptions | None) -> str:
        return f".{(options or CsvOptions()).file_ending}"

    def is_ending(self, ending: str) -> bool:
        # Older files have the endings of older options.
        return ending.removeprefix(".") not in csv_options.RESERVED_ENDINGS

    def identify(self, filename: str, body: bytes) -> UUID | None:
        """Return the order id in a column that begins as the file name says, with any columns and encoding."""
        text = body.decode("utf-16" if body.startswith(codecs.BOM_UTF16_LE) else "latin-1", "replace")
        prefix = self.order_id_prefix(filename)
        found = {UUID(one) for one in _UUID.findall(text) if prefix and one.startswith(prefix)}
        return found.pop() if len(found) == 1 else None

    def render(self, order: OrderDocument, options: CsvOptions) -> bytes:
        return render.render(order, layout_of(options))

    def decode(self, body: bytes, options: CsvOptions) -> str:
        codec, mark = CODECS[options.encoding]
        return body.removeprefix(mark).decode(codec, "replace")

    def schemas(self) -> Schemas:
        return Schemas(ack=ack_schema.SCHEMA)
