"""Open TCP connections to the archive and the mail server, which the operator chose.

Private networks and this machine are allowed. Other addresses that the address policy refuses are refused: the owner of
a host name decides which address it has. The name is looked up once, and the connection goes to the checked address.
"""

import socket
from ipaddress import IPv4Address, IPv6Address

from django.conf import settings

from erp_connectors.address_policy import refusal
from erp_connectors.sftp.errors import ConnectionRefused, ConnectTimeout, NameNotFound
from erp_connectors.sftp.tcp import connect_tcp
from orderflow.messages import english

DEFAULT_SECONDS = 10.0


class AddressRefused(Exception):
    """The message names host and address. Not an OSError: clients would drop the message."""


def connect(host: str, port: int, seconds: float = DEFAULT_SECONDS) -> socket.socket:
    """Return a connected socket. Raise `AddressRefused`, or the OSErrors of `socket.create_connection`."""

    def require_allowed(address: IPv4Address | IPv6Address) -> None:
        if why := refusal(address, loopback=True, nat64=settings.NAT64_PREFIXES):
            raise AddressRefused(f"{host} is {address}: {english(why)}")

    try:
        return connect_tcp(host, port, timeout=seconds, allow=require_allowed)
    except NameNotFound as error:
        raise socket.gaierror(socket.EAI_NONAME, str(error)) from None
    except ConnectTimeout as error:
        raise TimeoutError(str(error)) from None
    except ConnectionRefused as error:
        raise ConnectionRefusedError(str(error)) from None
