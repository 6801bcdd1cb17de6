"""Decide which addresses OrderFlow may connect to, for SFTP, webhooks, the archive and the mail server alike.

An IPv6 address may carry an IPv4 one that a gateway or a tunnel unpacks: both must be allowed.
"""

import ipaddress
import socket
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network

from orderflow.environment import NAT64_LENGTHS
from orderflow.messages import Message

Address = IPv4Address | IPv6Address

# Clouds serve credentials to local requests at these addresses; their other such addresses are link-local.
METADATA = frozenset(
    map(ipaddress.ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"))
)  # fmt: skip
THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")
# Networks whose last 32 bits are an IPv4 address: compatible, translated (SIIT), NAT64.
_ENDS_IN_IPV4 = tuple(map(IPv6Network, ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96")))
# For NAT64 within a site, with a prefix of any length below.
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
_ISATAP = (0x00005EFE, 0x02005EFE)


def refusal(address: Address, *, loopback: bool, nat64: Sequence[IPv6Network] = ()) -> Message | None:
    """Return why nothing may connect to this address; None if it may.

    ``loopback``: this machine is allowed. ``nat64``: prefixes of the network's own translators.
    """
    for one in (address, *_carried(address, nat64)):
        if why := _refusal(one, loopback=loopback):
            return why if one == address else Message("address.carries", why=why, address=str(one))
    return None


def is_public(address: Address, *, nat64: Sequence[IPv6Network] = ()) -> bool:
    """Return True if the address, and every address it carries, is one of the internet."""
    carried = list(_carried(address, nat64))
    # A translator's or tunnel's own prefix counts as private; ISATAP runs under the site's own.
    own = address.is_global or (bool(carried) and not _is_isatap(address))
    return own and all(one.is_global for one in carried)


def literal(host: str) -> "Address | None":
    """Return the address that the resolver would read from this spelling without asking a name server."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, ValueError):
        return None
    return ipaddress.ip_address(str(found[0][4][0]).partition("%")[0])


def _carried(address: Address, nat64: Sequence[IPv6Network]) -> Iterator[IPv4Address]:
    if isinstance(address, IPv6Address):
        yield from dict.fromkeys(_unpacked(address, nat64))


def _unpacked(address: IPv6Address, nat64: Sequence[IPv6Network]) -> Iterator[IPv4Address]:
    number = int(address)
    known = (address.ipv4_mapped, address.sixtofour, *(address.teredo or ()))
    yield from (one for one in known if one is not None)
    if any(address in network for network in _ENDS_IN_IPV4) and number > 1:
        yield IPv4Address(number & 0xFFFFFFFF)
    if _is_isatap(address):
        yield IPv4Address(number & 0xFFFFFFFF)
    yield from (_after(number, network.prefixlen) for network in nat64 if address in network)
    if address in _LOCAL_NAT64:
        # Which length it has is not known. Where no address lies there are zeros, and 0.0.0.0/8 leads nowhere.
        places = (_after(number, length) for length in NAT64_LENGTHS if length >= _LOCAL_NAT64.prefixlen)
        yield from (place for place in places if place not in THIS_NETWORK)


def _after(number: int, length: int) -> IPv4Address:
    """Return the IPv4 address behind a NAT64 prefix (RFC 6052: it leaves out the eight bits in the middle)."""
    if length == 96:
        return IPv4Address(number & 0xFFFFFFFF)
    without_middle = (number >> 64) << 56 | number & (1 << 56) - 1
    return IPv4Address(without_middle >> (88 - length) & 0xFFFFFFFF)


def _is_isatap(address: Address) -> bool:
    return isinstance(address, IPv6Address) and int(address) >> 32 & 0xFFFFFFFF in _ISATAP


def _refusal(address: Address, *, loopback: bool) -> Message | None:
    if address in METADATA:
        return Message("address.metadata")
    if address.is_link_local or (isinstance(address, IPv6Address) and address.is_site_local):
        return Message("address.link_local")
    if address.is_unspecified or address in THIS_NETWORK:
        return Message("address.unspecified")
    if address.is_multicast or (isinstance(address, IPv4Address) and address.is_reserved):
        return Message("address.not_single")
    return None if loopback or not address.is_loopback else Message("address.loopback")
