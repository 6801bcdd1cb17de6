"""The only wiring: which code stands behind a connector type and a transport.

Other packages add connector types through the entry-point group ``orderflow.connectors``:
``MY_TYPE = "my_package.my_connector:MyConnector"``.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from django.conf import settings
from django.utils.module_loading import import_string

from erp_connectors.connectors.base import Connector, Dropzone
from erp_connectors.transports.base import Transport, TransportPolicy

ORG_PLACE = "{org}"
ENTRY_POINT_GROUP = "orderflow.connectors"
CONNECTORS = {
    "DROPZONE_JSON_V1": "erp_connectors.connectors.dropzone_json_v1.DropzoneJsonV1",
}
TRANSPORTS = {
    "sftp": "erp_connectors.transports.sftp.SftpTransport",
    "filesystem": "erp_connectors.transports.filesystem.FilesystemTransport",
}


class UnknownConnectorType(LookupError):
    def __init__(self, connector_type: str) -> None:
        known = ", ".join(connector_types())
        super().__init__(f"There is no connector type {connector_type!r}; this deployment has {known}.")


def connector_types() -> list[str]:
    return sorted({*CONNECTORS, *(point.name for point in _added())})


@cache
def connector_for(connector_type: str) -> Connector[Any]:
    """Raises `UnknownConnectorType`."""
    if connector_type in CONNECTORS:
        return cast("Connector[Any]", import_string(CONNECTORS[connector_type])())
    for point in _added():
        if point.name == connector_type:
            return cast("Connector[Any]", point.load()())
    raise UnknownConnectorType(connector_type)


@cache
def _added() -> tuple[EntryPoint, ...]:
    """Read the entry points once: each reading opens a file of every installed package."""
    return tuple(entry_points(group=ENTRY_POINT_GROUP))


def is_known(connector_type: str) -> bool:
    try:
        connector_for(connector_type)
    except UnknownConnectorType:
        return False
    return True


# Whoever stands between this program and the transports it opens.
_between: list[Callable[[Transport], Transport]] = []


@contextmanager
def standing_between(wrap: Callable[[Transport], Transport]) -> Iterator[None]:
    """While it lasts, whatever transport this process opens goes through ``wrap``: to play trouble in an acceptance."""
    _between.append(wrap)
    try:
        yield
    finally:
        _between.remove(wrap)


def open_transport(dropzone: Dropzone) -> Transport:
    """The transport for a dropzone, not yet connected."""
    policy = TransportPolicy(
        dropzone_roots=tuple(_roots_of(dropzone.org_slug)),
        sftp_allowed_hosts=tuple(settings.SFTP_ALLOWED_HOSTS),
        sftp_loopback=settings.SFTP_ALLOW_LOOPBACK,
        nat64_prefixes=tuple(settings.NAT64_PREFIXES),
    )
    transport: Transport = import_string(TRANSPORTS[dropzone.transport])(dropzone.options, policy)
    transport.respect(dropzone.limits)
    for wrap in _between:
        transport = wrap(transport)
    return transport


def _roots_of(org_slug: str) -> Iterator[str]:
    """A root with an org's place in it belongs to that org alone; who has no org has none of these."""
    for root in map(str, settings.DROPZONE_ROOTS):
        if ORG_PLACE not in root:
            yield root
        elif org_slug:
            yield root.replace(ORG_PLACE, org_slug)
