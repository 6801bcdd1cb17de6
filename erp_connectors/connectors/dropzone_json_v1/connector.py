"""``DROPZONE_JSON_V1``: one JSON file per order in a folder, answered by ack files in another."""

import re
from datetime import UTC, datetime
from typing import ClassVar
from uuid import UUID

from erp_connectors.connectors.base import AckExample, AckName, Connector, MisnamedAnswer, NoOptions, Schemas
from erp_connectors.connectors.dropzone_json_v1 import (
    ack,
    ack_names,
    ack_schema,
    messages,  # noqa: F401  # it registers the texts of `ack`
    payload,
)
from erp_connectors.port_types import Ack, OrderDocument

FILENAME = re.compile(r"sales_order_[0-9a-f]{8}_[0-9]{8}_[0-9]{6}_[0-9a-f]{8}\.json")
# Contents of correct ack files.
ACCEPTANCE = '{"status": "ACKED", "erp_order_id": "SO-1"}'
REFUSAL = '{"status": "FAILED", "error_code": "E1", "message": "Why"}'


class DropzoneJsonV1(Connector[NoOptions]):
    type: ClassVar[str] = "DROPZONE_JSON_V1"
    version: ClassVar[str] = payload.FORMAT_VERSION

    def filename(self, draft_order_id: UUID, *, at: datetime, token: str) -> str:
        return f"sales_order_{draft_order_id.hex[:8]}_{at.astimezone(UTC):%Y%m%d_%H%M%S}_{token}.json"

    def names_export(self, name: str) -> bool:
        return FILENAME.fullmatch(name) is not None

    def identify(self, body: bytes) -> UUID | None:
        return payload.order_of(body)

    def render(self, order: OrderDocument, options: NoOptions) -> bytes:
        return payload.render(order)

    def schemas(self) -> Schemas:
        return Schemas(export=payload.schema(), ack=ack_schema.SCHEMA)

    def acknowledges(self, name: str, options: NoOptions) -> AckName | None:
        answered = ack_names.acknowledges(name)
        return AckName(answered) if answered else None

    def misnamed_answer(self, name: str, options: NoOptions) -> MisnamedAnswer | None:
        return ack_names.misnamed_answer(name)

    def ack_example(self, name: str, options: NoOptions) -> AckExample:
        answered = ack_names.acknowledges(name)
        export = answered if answered and self.names_export(answered) else "{order file name}"
        if ack_names.is_acceptance(name):
            return AckExample(f"{ack_names.ACCEPTED_PREFIX}{export}", ACCEPTANCE, accepted=True)
        return AckExample(f"{ack_names.REFUSED_PREFIX}{export}", REFUSAL, accepted=False)

    def parse_ack(self, name: str, body: bytes, options: NoOptions) -> list[Ack]:
        return [ack.parse(name, body)]
