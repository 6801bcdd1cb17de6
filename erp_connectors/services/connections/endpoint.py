"""Describe the destination of a connection's files without secrets."""

from dataclasses import dataclass

from erp_connectors.common_fields import Dropzone
from erp_connectors.dropzones import dropzone_of
from erp_connectors.faults import Fault
from erp_connectors.models import ERPConnection
from erp_connectors.services.connections.host_keys import pinned_keys


@dataclass(frozen=True, slots=True)
class DropzoneAddress:
    """``server`` is empty for a folder of this machine; ``problem`` says why nothing is known."""

    connection: str
    server: str = ""
    folder: str = ""
    host_keys: tuple[str, ...] = ()
    reads_answers: bool = False
    problem: str = ""


def place_of(dropzone: Dropzone) -> str:
    """Return ``host:folder``, or the folder alone, by which users recognise a connection."""
    host = dropzone.options.endpoint().host
    return f"{host}:{dropzone.export_path}" if host else dropzone.export_path


def where_of(connection: ERPConnection) -> str:
    """The place of a connection whose configuration can be read, else empty."""
    try:
        return place_of(dropzone_of(connection))
    except Fault:
        return ""


def address_of(connection: ERPConnection) -> DropzoneAddress:
    try:
        dropzone = dropzone_of(connection)
    except Fault as fault:
        return DropzoneAddress(str(connection), problem=fault.message)
    endpoint = dropzone.options.endpoint()
    return DropzoneAddress(
        str(connection),
        f"{endpoint.host}:{endpoint.port}" if endpoint.host else "",
        dropzone.export_path,
        tuple(f"{key.type} {key.fingerprint}" for key in pinned_keys(connection)),
        reads_answers=bool(dropzone.ack_path),
    )
