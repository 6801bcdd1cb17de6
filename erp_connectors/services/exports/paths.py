"""What the steps of one delivery share, and how a connection becomes a dropzone and a transport."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import msgspec

from erp_connectors.connectors.base import ConfigError, Connector, Dropzone
from erp_connectors.faults import CONFIG_INVALID, CONNECTOR_UNKNOWN, DESTINATION_MOVED, Fault
from erp_connectors.leases import Lease
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.registry import UnknownConnectorType, connector_for
from erp_connectors.transports.base import ServerLimits, Transport


@dataclass(frozen=True, slots=True)
class Delivery:
    """One connection's delivery under way: its lease, and the open way to the dropzone."""

    lease: Lease
    connection: ERPConnection
    connector: Connector[object]
    dropzone: Dropzone
    transport: Transport

    @property
    def destination(self) -> str:
        return destination(self.transport, self.dropzone)


@dataclass(slots=True)
class Item:
    """An export on its way, with its bytes."""

    export: ERPExport
    data: bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """``elsewhere``: it was met on another connection than the one that is being delivered."""

    export: ERPExport
    fault: Fault
    stage: str
    elsewhere: bool = False


def dropzone_of(connection: ERPConnection) -> Dropzone:
    """Raises `Fault` CONFIG_UNREADABLE, CONFIG_INVALID or CONNECTOR_UNKNOWN."""
    try:
        connector = connector_for(connection.connector_type)
        dropzone = connector.dropzone(connector.parse_config(connection.config))
    except ConfigError as error:
        raise Fault(CONFIG_INVALID, f"{error}.") from None
    except UnknownConnectorType as error:
        raise Fault(CONNECTOR_UNKNOWN, str(error)) from None
    return replace(dropzone, org_slug=connection.org.slug, limits=limits_of(connection))


def limits_of(connection: ERPConnection) -> ServerLimits:
    """Return the limits of its server that earlier runs found."""
    return msgspec.convert(connection.server_limits, ServerLimits)


def destination(transport: Transport, dropzone: Dropzone) -> str:
    return f"{transport.destination(dropzone.export_path)}|{dropzone.export_path}"


def staying_at(transport: Transport, dropzone: Dropzone, place: str) -> AbstractContextManager[None]:
    """Within the block, restrict the transport to the folder whose `destination` is ``place``."""
    return transport.at(place.removesuffix(f"|{dropzone.export_path}"))


def moved(export: ERPExport) -> Fault:
    """What is absent where an export was not staged proves nothing."""
    return Fault(DESTINATION_MOVED, f"It was staged at {export.staged_destination}.", path=export.staged_path)


def published_path(dropzone: Dropzone, export: ERPExport) -> str:
    return f"{dropzone.export_path.rstrip('/')}/{export.filename}"


def temporary_path(dropzone: Dropzone, export: ERPExport) -> str:
    """One name per attempt: a worker that wakes up late can't write into a later attempt's file."""
    final = published_path(dropzone, export)
    return f"{final}.{export.attempts}.tmp" if dropzone.atomic_write else final


def withdrawn_path(export: ERPExport) -> str:
    """Where a staged file is put so that nobody can publish it any more; its presence is the proof."""
    return export.staged_path.removesuffix(".tmp") + ".withdrawn.tmp"
