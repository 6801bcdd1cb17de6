"""Try what a server supports and permits. The result is recorded with the test, and blocks nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

from erp_connectors.common_fields import Dropzone
from erp_connectors.dropzone_paths import join, probe_name
from erp_connectors.faults import NAME_TAKEN, Fault
from erp_connectors.port_types import Move, ServerCapability, Upload
from erp_connectors.services.connections import server_limits
from erp_connectors.transports.base import Transport
from orderflow import clock
from orderflow.messages import SEVERAL, Message

# Text of each capability, by name.
SERVER_CAPABILITIES: dict[str, str] = {
    "posix_rename": "Offers posix-rename",
    "replaces_existing": "A rename replaces an existing file",
    "fsync": "Writes to disk before it confirms (fsync)",
    "several_channels": "Several channels at once",
    "own_handles": "Gives each open file a handle of its own",
    "ack_list": "Ack folder: list",
    "ack_write": "Ack folder: write",
    "ack_read": "Ack folder: read",
    "ack_processed": "Ack folder: move into processed/",
    "ack_error": "Ack folder: move into error/",
    "ack_delete": "Ack folder: delete",
}
EXTENSIONS = {"posix_rename": "posix-rename@openssh.com", "fsync": "fsync@openssh.com"}


def detect(transport: Transport, dropzone: Dropzone, able: list[ServerCapability]) -> Message:
    """Try each capability on an open transport; leave out what stays unknown. Return the result."""
    offered = transport.extensions()
    if transport.speaks_extensions:
        able += [ServerCapability(name, extension in offered) for name, extension in EXTENSIONS.items()]
    met = server_limits.detect(transport, dropzone, able)
    replaces = _replaces_existing(transport, dropzone) if dropzone.atomic_write else None
    found = [met] if met else []
    if replaces is not None:
        able.append(ServerCapability("replaces_existing", replaces))
        found.append(Message("test.rename_replaces" if replaces else "test.rename_refused"))
    if offered:
        found.append(Message("test.extensions", names=", ".join(offered)))
    else:
        found.append(Message("test.no_extensions"))
    return Message(SEVERAL, messages=tuple(found))


@contextmanager
def record_capability(able: list[ServerCapability], name: str) -> Iterator[None]:
    """Record whether the block succeeded, and re-raise its `Fault`."""
    try:
        yield
    except Fault:
        able.append(ServerCapability(name, there=False))
        raise
    able.append(ServerCapability(name, there=True))


def _replaces_existing(transport: Transport, dropzone: Dropzone) -> bool | None:
    """Return if a rename replaces an existing file, tried on names that no ERP reads; None if the result is unclear."""
    now = clock.now()
    first, second = (join(dropzone.export_path, probe_name(part, now=now)) for part in ("1", "2"))
    try:
        staged = transport.stage([Upload(first, b"1"), Upload(second, b"2")])
        if any(staged):
            return None
        (fault,) = transport.publish([Move(first, second)])
    finally:
        transport.remove([first, second])
    if fault is None:
        return True
    return False if fault.kind is NAME_TAKEN else None
