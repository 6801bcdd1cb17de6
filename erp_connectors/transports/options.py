"""Arguments of a transport: its options, and the policy of the deployment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from ipaddress import IPv6Network
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class PlannedKey:
    """A host key, as in known_hosts, that counts only on some days (UTC, both ends included)."""

    line: str
    since: date | None = None
    until: date | None = None

    def counts(self, today: date) -> bool:
        return (self.since is None or self.since <= today) and (self.until is None or today <= self.until)


@dataclass(frozen=True, slots=True)
class RenewedCredentials:
    """The planned credentials that a session used: the line of a planned host key, and the next client key."""

    host_key: str = ""
    client_key: bool = False

    def __bool__(self) -> bool:
        return bool(self.host_key) or self.client_key


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The server of a dropzone, as users know it; all empty for a folder of this machine.

    ``via``: the jump host or proxy in between, such as ``jump_host://bastion:22``. It decides which server has the
    name.
    """

    host: str = ""
    port: int = 0
    user: str = ""
    via: str = ""


@dataclass(frozen=True, slots=True)
class TransportOptions:
    """The options of one dropzone, except its folders. Transports with equal options may share a session."""

    # True if the folders are on this machine: all orgs reach them as the same user.
    on_this_machine: ClassVar[bool] = False

    def endpoint(self) -> Endpoint:
        return Endpoint()

    def planned_host_keys(self) -> Sequence[PlannedKey]:
        return ()


@dataclass(frozen=True, slots=True)
class TransportPolicy:
    """The limits that the deployment sets.

    ``sftp_allowed_hosts``: host names, addresses and networks; empty: all but the addresses where no ERP can be.
    ``sftp_loopback``: a server may run on this machine. ``nat64_prefixes``: those of the network's own translators.
    """

    dropzone_roots: tuple[str, ...] = ()
    sftp_allowed_hosts: tuple[str, ...] = ()
    sftp_loopback: bool = False
    nat64_prefixes: tuple[IPv6Network, ...] = ()
