"""The files of one export: its order file as it was sent, and the ack files as they were received."""

import json
from dataclasses import dataclass

import msgspec
from django.utils.translation import gettext as _

from erp_connectors.archive import ArchiveAltered, ArchiveUnavailable
from erp_connectors.connectors.base import Connector
from erp_connectors.faults import ARCHIVE_ALTERED, ARCHIVE_UNAVAILABLE
from erp_connectors.models import AckFile, ERPExport
from erp_connectors.registry import connector_for, is_known
from erp_connectors.services.acks.content import body_of, digest
from erp_connectors.services.exports.payload_store import bytes_of
from erp_connectors.services.status.timeline import ack_files_of

MAX_BYTES_READ = 32 * 1024 * 1024
SHOWN_SIGNS = 200_000
SHOWN_ACKS = 5
SHOWN_ACK_SIGNS = 20_000


@dataclass(frozen=True, slots=True)
class Payload:
    """``text`` pretty-printed; ``cut``: it is longer. ``problem`` says why there is none, ``hint`` what to do."""

    text: str = ""
    cut: bool = False
    problem: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class AckContent:
    """``text`` decoded as well as can be, empty where it was removed; the sha256 is that of the bytes."""

    ack: AckFile
    text: str
    cut: bool
    sha256: str


def content_type_of(export: ERPExport) -> str:
    """Return the media type of the export's file; that of unknown bytes if this deployment lacks its connector."""
    connector_type = export.connection.connector_type
    return connector_for(connector_type).content_type if is_known(connector_type) else Connector.content_type


def payload_of(export: ERPExport) -> Payload:
    """Read the file from the archive and verify its sha256; for a rendered export that retention has not removed."""
    if (export.size or 0) > MAX_BYTES_READ:
        return Payload(problem=_("The file is too large to be shown here. Download it."))
    try:
        body = bytes_of(export)
    except ArchiveUnavailable as error:
        return Payload(problem=f"{_(ARCHIVE_UNAVAILABLE.meaning)} {error}", hint=_(ARCHIVE_UNAVAILABLE.hint))
    except ArchiveAltered as error:
        return Payload(problem=f"{_(ARCHIVE_ALTERED.meaning)} {error}", hint=_(ARCHIVE_ALTERED.hint))
    text = readable(_pretty(body))
    return Payload(text[:SHOWN_SIGNS], cut=len(text) > SHOWN_SIGNS)


def acks_of(export: ERPExport) -> list[AckContent]:
    """Return the newest ack files, oldest first."""
    newest = ack_files_of([export])[-SHOWN_ACKS:]
    bodies = dict(AckFile.objects.filter(pk__in=[ack.pk for ack in newest]).values_list("pk", "body"))
    for ack in newest:
        ack.body = bodies.get(ack.pk)
    return [_content_of(ack) for ack in newest]


def readable(body: bytes) -> str:
    """Return bytes of any encoding as a text for display only."""
    for encoding in (json.detect_encoding(body), "cp1252"):
        try:
            return _visible(body.decode(encoding))
        except UnicodeDecodeError:
            continue
    return _visible(body.decode("latin-1"))


def _content_of(ack: AckFile) -> AckContent:
    text = readable(body_of(ack))
    return AckContent(ack, text[:SHOWN_ACK_SIGNS], len(text) > SHOWN_ACK_SIGNS, digest(ack))


def _pretty(body: bytes) -> bytes:
    """Pretty-print JSON without changing any digit of a number; return other text as it is."""
    try:
        return msgspec.json.format(body, indent=2)
    except msgspec.DecodeError:
        return body


def _visible(text: str) -> str:
    return "".join(
        sign if sign.isprintable() or sign in "\n\t" else "\ufffd" for sign in text.replace("\r\n", "\n")
    )
