"""Options of the SFTP transport."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from erp_connectors.transports.base import Endpoint, PlannedKey, TransportOptions


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

    def endpoint(self) -> Endpoint:
        return Endpoint(self.host, self.port, self.username)

    def planned_host_keys(self) -> Sequence[PlannedKey]:
        return self.planned_keys
