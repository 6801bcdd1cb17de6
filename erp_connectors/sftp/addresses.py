"""Where no ERP can be: addresses that a server must never be looked for at, however they are written.

An IPv6 address may carry an IPv4 one that a gateway or a tunnel unpacks; what it carries counts like the address.
"""

import ipaddress
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address

# Where clouds hand out credentials to whoever asks from inside; the others of them are link-local.
METADATA = frozenset(
    map(ipaddress.ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"))
)  # fmt: skip
THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")
# Networks whose last 32 bits are an IPv4 address: compatible, translated (SIIT), NAT64.
_ENDS_IN_IPV4 = tuple(map(IPv6Network, ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96")))
# NAT64 of one's own, whose prefix has 96 or 48 bits.
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
_ISATAP = (0x00005EFE, 0x02005EFE)
LOOPBACK = ipaddress.ip_address("127.0.0.1")


def refusal(address: Address, *, loopback: bool) -> str:
    """Why nothing may connect to this address; empty where it may. ``loopback``: this machine is fine."""
    for one in meant_by(address):
        if why := _refusal(one, loopback=loopback):
            return why if one == address else f"{why} (as {one})"
    return ""


def meant_by(address: Address) -> Iterator[Address]:
    """The address itself, and every IPv4 address that it carries."""
    yield address
    if isinstance(address, IPv6Address):
        yield from dict.fromkeys(_carried(address))


def _carried(address: IPv6Address) -> Iterator[IPv4Address]:
    number = int(address)
    known = (address.ipv4_mapped, address.sixtofour, *(address.teredo or ()))
    yield from (one for one in known if one is not None)
    if any(address in network for network in _ENDS_IN_IPV4) and number > 1:
        yield IPv4Address(number & 0xFFFFFFFF)
    if (number >> 32) & 0xFFFFFFFF in _ISATAP:
        yield IPv4Address(number & 0xFFFFFFFF)
    if address in _LOCAL_NAT64:
        # With 48 bits it lies around eight others in the middle (RFC 6052); where there is none, there are zeros.
        places = (number & 0xFFFFFFFF, ((number >> 64) & 0xFFFF) << 16 | (number >> 40) & 0xFFFF)
        yield from (IPv4Address(place) for place in places if place)


def _refusal(address: Address, *, loopback: bool) -> str:
    if address in METADATA:
        return "is where a cloud hands out credentials"
    if address.is_link_local or (isinstance(address, IPv6Address) and address.is_site_local):
        return "is link-local, as are the addresses where clouds hand out credentials"
    if address.is_unspecified or address in THIS_NETWORK:
        return "names no machine"
    if address.is_multicast or (isinstance(address, IPv4Address) and address.is_reserved):
        return "is no single machine's address"
    return "" if loopback or not address.is_loopback else "is the machine that OrderFlow itself runs on"
