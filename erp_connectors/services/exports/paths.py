"""Paths of an export's file: the final and the temporary one, and the destination it was staged in."""

from contextlib import AbstractContextManager

from erp_connectors import dropzone_paths
from erp_connectors.common_fields import Dropzone
from erp_connectors.dropzone_paths import join
from erp_connectors.faults import DESTINATION_MOVED, Fault
from erp_connectors.models import ERPExport
from erp_connectors.transports.base import Transport
from orderflow.messages import Message


def destination(transport: Transport, dropzone: Dropzone) -> str:
    return f"{transport.destination(dropzone.export_path)}|{dropzone.export_path}"


def staying_at(transport: Transport, dropzone: Dropzone, place: str) -> AbstractContextManager[None]:
    """Restrict the transport within the block to the folder whose `destination` is ``place``."""
    return transport.at(place.removesuffix(f"|{dropzone.export_path}"))


def destination_moved(export: ERPExport) -> Fault:
    """Return the fault of an export that was staged elsewhere: an absence here proves nothing about it."""
    staged = Message("delivery.staged_at", destination=export.staged_destination)
    return Fault(DESTINATION_MOVED, staged, path=export.staged_path)


def published_path(dropzone: Dropzone, export: ERPExport) -> str:
    return join(dropzone.export_path, export.filename)


def temporary_path(dropzone: Dropzone, export: ERPExport) -> str:
    """Return where the current attempt writes: under the final name if the server can't rename."""
    final = published_path(dropzone, export)
    return dropzone_paths.temporary(final, export.attempts) if dropzone.atomic_write else final


def withdrawn_path(export: ERPExport) -> str:
    return dropzone_paths.withdrawn(export.staged_path)
