"""Base of connectors whose files are named ``sales_order_…`` and answered by ``ack_`` and ``error_`` JSON files."""

import re
from abc import abstractmethod
from datetime import UTC, datetime
from uuid import UUID

from erp_connectors.connectors.base import AckExample, AckName, Connector, MisnamedAnswer, OptionsT
from erp_connectors.connectors.json_acks import (
    ack,
    ack_names,
    messages,  # noqa: F401  # it registers the texts of `ack`
)
from erp_connectors.port_types import Ack

# Contents of correct ack files.
ACCEPTANCE = '{"status": "ACKED", "erp_order_id": "SO-1"}'
REFUSAL = '{"status": "FAILED", "error_code": "E1", "message": "Why"}'
_NAME = re.compile(ack_names.STEM + r"(?P<ending>\.[a-z0-9]{1,10})")
_ID_PREFIX = re.compile(r"sales_order_([0-9a-f]{8})_")


class JsonAckConnector(Connector[OptionsT]):
    @abstractmethod
    def ending(self, options: OptionsT | None) -> str:
        """Return the ending of new files, with its dot; ``options`` is None if the config can't be read."""

    def is_ending(self, ending: str) -> bool:
        """Return True if files of this connector may have, or have had, this ending."""
        return ending == self.ending(None)

    def filename(
        self, draft_order_id: UUID, *, at: datetime, token: str, options: OptionsT | None = None
    ) -> str:
        written = f"{at.astimezone(UTC):%Y%m%d_%H%M%S}"
        return f"sales_order_{draft_order_id.hex[:8]}_{written}_{token}{self.ending(options)}"

    def names_export(self, name: str) -> bool:
        found = _NAME.fullmatch(name)
        return found is not None and self.is_ending(found["ending"])

    def order_id_prefix(self, filename: str) -> str:
        found = _ID_PREFIX.match(filename)
        return found[1] if found else ""

    def acknowledges(self, name: str, options: OptionsT) -> AckName | None:
        answered = ack_names.acknowledges(name, self.ending(options), self.is_ending)
        return AckName(answered) if answered else None

    def misnamed_answer(self, name: str, options: OptionsT) -> MisnamedAnswer | None:
        return ack_names.misnamed_answer(name, self.ending(options))

    def ack_example(self, name: str, options: OptionsT) -> AckExample:
        named = self.acknowledges(name, options)
        export = (
            named.export_filename
            if named and self.names_export(named.export_filename)
            else "{order file name}"
        )
        if ack_names.is_acceptance(name):
            return AckExample(f"{ack_names.ACCEPTED_PREFIX}{export}", ACCEPTANCE, accepted=True)
        return AckExample(f"{ack_names.REFUSED_PREFIX}{export}", REFUSAL, accepted=False)

    def parse_ack(self, name: str, body: bytes, options: OptionsT) -> list[Ack]:
        return [ack.parse(name, body)]
