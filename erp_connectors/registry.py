"""The only wiring: the code of each connector type and each mode.

Other packages add to both through entry points, ``orderflow.connectors`` and ``orderflow.transports``:
``MY_TYPE = "my_package.my_connector:MyConnector"``. A name of ours can't be replaced.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from django.conf import settings
from django.utils.module_loading import import_string

from erp_connectors.common_fields import Dropzone
from erp_connectors.connectors.base import Connector
from erp_connectors.connectors.dropzone_csv_v1 import DropzoneCsvV1
from erp_connectors.connectors.dropzone_json_v1 import DropzoneJsonV1
from erp_connectors.transports.base import Transport, TransportPolicy
from orderflow.messages import Message

ORG_PLACE = "{org}"
CONNECTOR_GROUP, TRANSPORT_GROUP = "orderflow.connectors", "orderflow.transports"
# The type if a user or a config gives none.
DEFAULT_CONNECTOR_TYPE = DropzoneJsonV1.type
CONNECTORS = {
    DEFAULT_CONNECTOR_TYPE: "erp_connectors.connectors.dropzone_json_v1.DropzoneJsonV1",
    DropzoneCsvV1.type: "erp_connectors.connectors.dropzone_csv_v1.DropzoneCsvV1",
}
TRANSPORTS = {
    "sftp": "erp_connectors.transports.sftp.SftpTransport",
    "s3": "erp_connectors.transports.s3.S3Transport",
    "filesystem": "erp_connectors.transports.filesystem.FilesystemTransport",
}


class UnknownConnectorType(LookupError):
    def __init__(self, connector_type: str) -> None:
        self.message = Message("connector.unknown", type=connector_type, known=", ".join(connector_types()))
        super().__init__(self.message)


class UnknownMode(LookupError):
    def __init__(self, mode: str) -> None:
        super().__init__(f"There is no mode {mode!r}; this deployment has {', '.join(transport_modes())}.")


def connector_types() -> list[str]:
    return sorted({*CONNECTORS, *_installed(CONNECTOR_GROUP)})


def transport_modes() -> list[str]:
    """Return ours first, then those of other packages by name."""
    return [*TRANSPORTS, *sorted(_installed(TRANSPORT_GROUP).keys() - TRANSPORTS.keys())]


@cache
def connector_for(connector_type: str) -> Connector[Any]:
    """Raises `UnknownConnectorType`."""
    if connector_type in CONNECTORS:
        return cast("Connector[Any]", import_string(CONNECTORS[connector_type])())
    if point := _installed(CONNECTOR_GROUP).get(connector_type):
        return cast("Connector[Any]", point.load()())
    raise UnknownConnectorType(connector_type)


def transport_for(mode: str) -> type[Transport]:
    """Raises `UnknownMode`."""
    if mode in TRANSPORTS:
        return cast("type[Transport]", import_string(TRANSPORTS[mode]))
    if point := _installed(TRANSPORT_GROUP).get(mode):
        return cast("type[Transport]", point.load())
    raise UnknownMode(mode)


def is_mode(mode: str) -> bool:
    return mode in TRANSPORTS or mode in _installed(TRANSPORT_GROUP)


@cache
def _installed(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name. Finding them reads the metadata of every installed package."""
    return {point.name: point for point in entry_points(group=group)}


def has_installed() -> bool:
    """Return True if another package adds a connector or a transport."""
    return bool(_installed(CONNECTOR_GROUP) or _installed(TRANSPORT_GROUP))


def forget_installed() -> None:
    """Look for entry points anew at the next call, as after a package was installed."""
    _installed.cache_clear()
    connector_for.cache_clear()


def is_known(connector_type: str) -> bool:
    try:
        connector_for(connector_type)
    except UnknownConnectorType:
        return False
    return True


# Whoever stands between this program and the transports it opens.
_between: list[Callable[[Transport], Transport]] = []


@contextmanager
def wrap_transports(wrap: Callable[[Transport], Transport]) -> Iterator[None]:
    """Pass every transport that this process opens through ``wrap``, to inject faults in an acceptance test."""
    _between.append(wrap)
    try:
        yield
    finally:
        _between.remove(wrap)


def open_transport(dropzone: Dropzone) -> Transport:
    """Return the transport for a dropzone, not yet connected. Raises `Fault` INTERNAL_ERROR if that has a bug."""
    policy = TransportPolicy(
        dropzone_roots=tuple(roots_of(dropzone.org_slug)),
        sftp_allowed_hosts=tuple(settings.SFTP_ALLOWED_HOSTS),
        sftp_loopback=settings.SFTP_ALLOW_LOOPBACK,
        nat64_prefixes=tuple(settings.NAT64_PREFIXES),
    )
    transport = transport_for(dropzone.transport).create(dropzone.options, policy)
    transport.respect(dropzone.limits)
    for wrap in _between:
        transport = wrap(transport)
    return transport


def roots_of(org_slug: str) -> Iterator[str]:
    """A root with an org's place in it belongs to that org alone; who has no org has none of these."""
    for root in map(str, settings.DROPZONE_ROOTS):
        if ORG_PLACE not in root:
            yield root
        elif org_slug:
            yield root.replace(ORG_PLACE, org_slug)
