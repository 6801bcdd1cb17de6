"""Limits of a server, found while working with it; stored with the connection until it is tested or changed."""

from contextlib import suppress
from typing import Any
from uuid import UUID

import msgspec
import structlog
from django.db import transaction

from erp_connectors.common_fields import Dropzone
from erp_connectors.dropzone_paths import join, probe_name
from erp_connectors.dropzones import dropzone_of
from erp_connectors.faults import Fault
from erp_connectors.models import ERPConnection
from erp_connectors.port_types import ServerCapability, Upload
from erp_connectors.transports.base import ServerLimits, Transport
from orderflow import clock
from orderflow.messages import Message

# Enough files to reach the limits of known servers, and enough expected files to open all channels.
FILES_TRIED, FILES_EXPECTED = 20, 64

log = structlog.get_logger(__name__)


def as_row(limits: ServerLimits) -> dict[str, Any]:
    """Return only the limits that were found, so that an empty row means no limit."""
    return {name: value for name, value in msgspec.to_builtins(limits).items() if value}


def store(connection_id: UUID, dropzone: Dropzone, limits: ServerLimits) -> None:
    """Store the limits that a run over ``dropzone`` found, unless the connection was changed or tested meanwhile."""
    if limits == dropzone.limits:
        return
    with transaction.atomic(), suppress(Fault):
        row = (
            ERPConnection.objects.select_related("org").select_for_update(of=("self",)).get(pk=connection_id)
        )
        if dropzone_of(row) == dropzone:
            ERPConnection.objects.filter(pk=connection_id).update(server_limits=as_row(limits))
            log.warning("connection.server_limits", connection_id=str(connection_id), **as_row(limits))


def messages_of(limits: ServerLimits) -> list[Message]:
    """Return a message for each limit, or one that says that there is none."""
    found = []
    if limits.reuses_handles:
        found.append(Message("limit.reuses_handles"))
    if limits.files_open:
        found.append(Message("limit.files_open", n=limits.files_open))
    if limits.channels:
        found.append(Message("limit.channels", n=limits.channels))
    return found or [Message("limit.none")]


def detect(transport: Transport, dropzone: Dropzone, able: list[ServerCapability]) -> Message | None:
    """Write many files at once, as a large batch does, remove them, and return the limits found.

    The files are not named like orders. Append what the limits mean to ``able``. Return None if the server could not
    be tried.
    """
    if not (transport.speaks_extensions and dropzone.atomic_write):
        return None
    now = clock.now()
    paths = [join(dropzone.export_path, probe_name(str(n), now=now)) for n in range(FILES_TRIED)]
    transport.expect(FILES_EXPECTED)
    try:
        outcomes = transport.stage([Upload(path, path.encode()) for path in paths])
    finally:
        transport.remove(paths)
    limits = transport.limits()
    if any(outcomes) and not as_row(limits):
        return None
    able += [
        ServerCapability("several_channels", limits.channels is None),
        ServerCapability("own_handles", not limits.reuses_handles),
    ]
    return Message("test.server_limits", limits=tuple(messages_of(limits)))
