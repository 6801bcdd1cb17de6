"""What a transport is made with: its options, and what the deployment allows."""

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
class Renewed:
    """Which planned credentials were used: the line of a planned host key, and the next client key."""

    host_key: str = ""
    client_key: bool = False

    def __bool__(self) -> bool:
        return bool(self.host_key) or self.client_key


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The server that users know a dropzone by; all empty for a folder of this machine."""

    host: str = ""
    port: int = 0
    user: str = ""


@dataclass(frozen=True, slots=True)
class TransportOptions:
    """What a transport needs for one dropzone, besides the folders. Equal options: the same session may be used."""

    # Its folders are folders of this machine, which all orgs reach as the same user.
    on_this_machine: ClassVar[bool] = False

    def endpoint(self) -> Endpoint:
        return Endpoint()

    def planned_host_keys(self) -> Sequence[PlannedKey]:
        return ()


@dataclass(frozen=True, slots=True)
class TransportPolicy:
    """What the deployment allows.

    ``sftp_allowed_hosts`` are host names, addresses and networks; empty, it allows all but the addresses where no ERP
    can be. ``sftp_loopback``: a server may run on this very machine. ``nat64_prefixes`` are those of the network's own
    translators.
    """

    dropzone_roots: tuple[str, ...] = ()
    sftp_allowed_hosts: tuple[str, ...] = ()
    sftp_loopback: bool = False
    nat64_prefixes: tuple[IPv6Network, ...] = ()
