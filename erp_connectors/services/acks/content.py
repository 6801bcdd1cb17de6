"""The content of ack files, also if retention has removed their text."""

import msgspec
from django.db.models import QuerySet

from erp_connectors import archive
from erp_connectors.models import AckFile
from erp_connectors.port_types import Ack
from orderflow.row_updates import update_rows


def ack_of(row: AckFile) -> Ack:
    """Return the answer of a decided row, as it was parsed when the row was decided."""
    return msgspec.convert(row.answer_json, Ack)


def body_of(row: AckFile) -> bytes:
    """Return the bytes of the file, which the first row of it that is kept has; empty if they were removed."""
    if row.part and row.body is None:
        rows = AckFile.objects.filter(connection=row.connection_id, name=row.name, moved_at=row.moved_at)
        with_body = rows.exclude(body=None).order_by("part")
        return bytes(with_body.values_list("body", flat=True).first() or b"")
    return bytes(row.body or b"")


def keep_body(rows: QuerySet[AckFile]) -> None:
    """Copy the body of each undecided first row, which is about to be deleted, to a decided row of its file.

    ``rows``: all rows of some present files of one connection.
    """
    bodies = dict(rows.filter(part=0, decided_at=None).values_list("name", "body"))
    decided = rows.filter(name__in=bodies).exclude(decided_at=None).defer("body").order_by("-part")
    first = {row.name: row for row in decided}
    for row in first.values():
        row.body = bodies[row.name]
    update_rows(list(first.values()), "body")


def digest(row: AckFile) -> str:
    """Return the SHA-256 of the bytes that were read."""
    return row.body_sha256 or archive.sha256(bytes(row.body or b""))
