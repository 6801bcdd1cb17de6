"""The content of ack files, also if retention has removed their text."""

import msgspec

from erp_connectors import archive
from erp_connectors.models import AckFile
from erp_connectors.port_types import Ack


def ack_of(row: AckFile) -> Ack:
    """Return the answer of a decided row, as it was parsed when the row was decided."""
    return msgspec.convert(row.answer_json, Ack)


def body_of(row: AckFile) -> bytes:
    """Return the bytes of the file, which the row of the first answer has; empty if they were removed."""
    if row.part:
        first = AckFile.objects.filter(
            connection=row.connection_id, name=row.name, part=0, moved_at=row.moved_at
        )
        return bytes(first.values_list("body", flat=True).first() or b"")
    return bytes(row.body or b"")


def digest(row: AckFile) -> str:
    """Return the SHA-256 of the bytes that were read."""
    return row.body_sha256 or archive.sha256(bytes(row.body or b""))
