"""Where the file of an export is: its folder, its final and temporary names, and the dropzone it was staged in."""

from contextlib import AbstractContextManager

from erp_connectors.common_fields import Dropzone
from erp_connectors.faults import DESTINATION_MOVED, Fault
from erp_connectors.models import ERPExport
from erp_connectors.transports.base import Transport


def destination(transport: Transport, dropzone: Dropzone) -> str:
    return f"{transport.destination(dropzone.export_path)}|{dropzone.export_path}"


def staying_at(transport: Transport, dropzone: Dropzone, place: str) -> AbstractContextManager[None]:
    """Within the block, restrict the transport to the folder whose `destination` is ``place``."""
    return transport.at(place.removesuffix(f"|{dropzone.export_path}"))


def moved(export: ERPExport) -> Fault:
    """What is absent where an export was not staged proves nothing."""
    return Fault(DESTINATION_MOVED, f"It was staged at {export.staged_destination}.", path=export.staged_path)


def path_in(folder: str, export: ERPExport) -> str:
    return f"{folder.rstrip('/')}/{export.filename}"


def published_path(dropzone: Dropzone, export: ERPExport) -> str:
    return path_in(dropzone.export_path, export)


def temporary_path(dropzone: Dropzone, export: ERPExport) -> str:
    """One name per attempt: a worker that wakes up late can't write into a later attempt's file."""
    final = published_path(dropzone, export)
    return f"{final}.{export.attempts}.tmp" if dropzone.atomic_write else final


def withdrawn_path(export: ERPExport) -> str:
    """Where a staged file is put so that nobody can publish it any more; its presence is the proof."""
    return export.staged_path.removesuffix(".tmp") + ".withdrawn.tmp"
