"""Servers that this deployment may connect to, checked by name before the look-up and by address before connecting."""

import ipaddress
import re

from erp_connectors.address_policy import Address, literal, refusal
from erp_connectors.faults import HOST_NOT_ALLOWED, NAME_NOT_FOUND, Fault
from erp_connectors.transports.base import TransportPolicy
from orderflow.messages import Message

# RFC 1035; longer ones do not fit into a request to a proxy.
MAX_NAME = 253
_NAME = re.compile(r"[a-z0-9._-]+")
_IPV6 = re.compile(r"[0-9a-f:.]+(%[a-z0-9._-]+)?")
# Names that the usual files of hosts give to the machine itself.
_LOOPBACK_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class AllowedHosts:
    """Checks for one host: read `name` first, then pass each of its addresses to `require_address`."""

    def __init__(self, host: str, policy: TransportPolicy) -> None:
        self._host = host
        self._loopback, self._nat64 = policy.sftp_loopback, policy.nat64_prefixes
        networks = {entry: network_of(entry) for entry in policy.sftp_allowed_hosts}
        self._networks = [network for network in networks.values() if network]
        self._names = {plain_name(entry) for entry, network in networks.items() if not network}
        self._any = not networks

    def name(self) -> str:
        """Return the name to look up, in ASCII. Raise `Fault` NAME_NOT_FOUND, HOST_NOT_ALLOWED."""
        try:
            name = plain_name(self._host)
        except ValueError:
            raise Fault(NAME_NOT_FOUND, Message("host.not_a_name", host=ascii(self._host)[1:-1])) from None
        # Where networks are allowed, too, its addresses decide.
        if not (self._any or self._networks or name in self._names):
            raise Fault(HOST_NOT_ALLOWED, Message("host.not_listed", host=self._host))
        return name

    def name_behind_hop(self) -> str:
        """Return the name or address that a jump host or proxy is asked for. Raise `Fault` as the other checks do.

        An address is checked, and passed on in the spelling that was checked. A name is looked up by the jump host or
        proxy, so its addresses are not known: it must be listed itself if anything is.
        """
        name = self.name()
        if address := literal(name):
            self.require_address(address)
            return str(address)
        if len(name) > MAX_NAME or not _NAME.fullmatch(name):
            raise Fault(NAME_NOT_FOUND, Message("host.not_a_name", host=self._host))
        if is_loopback_name(name) and not self._loopback:
            why = Message("address.loopback_of_hop")
            raise Fault(HOST_NOT_ALLOWED, Message("host.name_refused", host=self._host, why=why))
        if not (self._any or name in self._names):
            raise Fault(HOST_NOT_ALLOWED, Message("host.not_listed_behind_hop", host=self._host))
        return name

    def require_address(self, address: Address) -> None:
        """Raises `Fault` HOST_NOT_ALLOWED. Also a name that is listed may not lead just anywhere."""
        if why := refusal(address, loopback=self._loopback, nat64=self._nat64):
            refused = Message("host.address_refused", host=self._host, address=str(address), why=why)
            raise Fault(HOST_NOT_ALLOWED, refused)
        if not (self._any or plain_name(self._host) in self._names or self._is_in_a_network(address)):
            not_listed = Message("host.address_not_listed", host=self._host, address=str(address))
            raise Fault(HOST_NOT_ALLOWED, not_listed)

    def _is_in_a_network(self, address: Address) -> bool:
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(mapped in network for network in self._networks)


def is_loopback_name(name: str) -> bool:
    """Return True if the name means the machine that looks it up (RFC 6761, section 6.3, and files of hosts)."""
    return name in _LOOPBACK_NAMES or name.endswith(".localhost")


def network_of(entry: str) -> Network | None:
    """Return the network of an address or of ``10.1.0.0/16``, or None for a name."""
    try:
        return ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return None


def is_host_or_network(entry: str) -> bool:
    try:
        return bool(network_of(entry)) or ("/" not in entry and bool(plain_name(entry)))
    except ValueError:
        return False


def plain_name(host: str) -> str:
    """One spelling for one host: what wide letters, capitals and a last dot mean to the DNS. Raises `ValueError`."""
    if not host.isprintable():
        raise ValueError("it holds characters that can't be shown")
    name = host.rstrip(".").encode("idna").decode("ascii").lower()
    if not (_NAME.fullmatch(name) or _IPV6.fullmatch(name)):
        # A wide @, : or / becomes one that a proxy takes for the end of another part of the request.
        raise ValueError("it is neither a name nor an address")
    return name
