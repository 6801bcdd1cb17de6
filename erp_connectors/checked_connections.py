"""Connections to the archive's server and the mail server, which the operator chose.

Private networks and this machine are allowed. What the address policy refuses to everybody is refused here, too: the
owner of a name decides where it leads. The name is looked up once for each connection, which goes to a checked address.
"""

import socket
from ipaddress import IPv4Address, IPv6Address

from django.conf import settings

from erp_connectors.address_policy import refusal
from erp_connectors.sftp.errors import ConnectionRefused, ConnectTimeout, NameNotFound
from erp_connectors.sftp.session import connect_tcp

DEFAULT_SECONDS = 10.0


class AddressRefused(Exception):
    """The text names host and address. No OSError: clients would take it for a failed connection and lose the text."""


def connect(host: str, port: int, seconds: float = DEFAULT_SECONDS) -> socket.socket:
    """Raise `AddressRefused`, or the OSErrors that `socket.create_connection` raises."""

    def require_allowed(address: IPv4Address | IPv6Address) -> None:
        if why := refusal(address, loopback=True, nat64=settings.NAT64_PREFIXES):
            raise AddressRefused(f"{host} is {address}, which {why}")

    try:
        return connect_tcp(host, port, timeout=seconds, allow=require_allowed)
    except NameNotFound as error:
        raise socket.gaierror(socket.EAI_NONAME, str(error)) from None
    except ConnectTimeout as error:
        raise TimeoutError(str(error)) from None
    except ConnectionRefused as error:
        raise ConnectionRefusedError(str(error)) from None
