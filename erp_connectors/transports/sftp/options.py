"""Options of the SFTP transport."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from erp_connectors.sftp.tcp import host_and_port
from erp_connectors.transports.base import Endpoint, PlannedKey, TransportOptions


class HopKind(StrEnum):
    """Kinds of hops between us and the server: values of the config's key ``via``."""

    JUMP_HOST = "jump_host"
    HTTP_PROXY = "http_proxy"
    SOCKS5_PROXY = "socks5_proxy"


@dataclass(frozen=True, slots=True)
class HopOptions:
    """A jump host or proxy. Keys and host keys are a jump host's only; a proxy may need no login."""

    kind: HopKind
    host: str
    port: int
    username: str = ""
    host_keys: tuple[str, ...] = ()
    password: str | None = field(default=None, repr=False)
    ssh_key: str | None = field(default=None, repr=False)
    ssh_key_passphrase: str | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        return host_and_port(self.host, self.port)


@dataclass(frozen=True, slots=True)
class SftpOptions(TransportOptions):
    host: str
    port: int
    username: str
    host_keys: tuple[str, ...]
    password: str | None = field(default=None, repr=False)
    ssh_key: str | None = field(default=None, repr=False)
    ssh_key_passphrase: str | None = field(default=None, repr=False)
    next_ssh_key: str | None = field(default=None, repr=False)
    connect_timeout: float = 10.0
    io_timeout: float = 30.0
    legacy_algorithms: bool = False
    planned_keys: tuple[PlannedKey, ...] = ()
    hop: HopOptions | None = None

    def endpoint(self) -> Endpoint:
        via = f"{self.hop.kind}://{self.hop.address}" if self.hop else ""
        return Endpoint(self.host, self.port, self.username, via)

    def jump_host(self) -> "SftpOptions":
        """Return the options of a direct connection to the jump host."""
        hop = self.hop
        assert hop is not None  # noqa: S101  # the caller has looked
        return replace(
            self,
            host=hop.host,
            port=hop.port,
            username=hop.username,
            host_keys=hop.host_keys,
            password=hop.password,
            ssh_key=hop.ssh_key,
            ssh_key_passphrase=hop.ssh_key_passphrase,
            next_ssh_key=None,
            planned_keys=(),
            hop=None,
        )

    def planned_host_keys(self) -> Sequence[PlannedKey]:
        return self.planned_keys
