"""What an ack file says, also where retention has removed its text and kept the answer."""

from typing import Any

import msgspec

from erp_connectors import archive
from erp_connectors.connectors.base import Connector
from erp_connectors.models import AckFile
from erp_connectors.port_types import Ack


def said_by(row: AckFile, connector: Connector[object]) -> Ack:
    """Of a row that was understood once. Raises `AckUnreadable` where this version does not understand it any more."""
    if row.answer_json is not None:
        return msgspec.convert(row.answer_json, Ack)
    return connector.parse_ack(row.name, bytes(row.body or b""))


def as_kept(ack: Ack) -> dict[str, Any]:
    kept: dict[str, Any] = msgspec.to_builtins(ack)
    return kept


def digest(row: AckFile) -> str:
    """The SHA-256 of what was read."""
    return row.body_sha256 or archive.sha256(bytes(row.body or b""))
