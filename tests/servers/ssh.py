"""What every SSH server of the tests has in common."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncssh

from erp_connectors.transports.sftp import SftpOptions
from erp_connectors.transports.sftp.options import HopKind, HopOptions
from tests.servers.processes import free_port as free_port

USERNAME, PASSWORD = "orderflow", "correct horse battery"


@dataclass(frozen=True)
class SshServer:
    """A running server; ``root`` is the folder here that its users see as ``prefix``."""

    host: str
    port: int
    host_key: str
    root: Path
    prefix: str = ""
    username: str = USERNAME
    password: str | None = PASSWORD
    client_key: str | None = None

    def path(self, *parts: str) -> str:
        return "/".join((self.prefix, *parts)) if parts else self.prefix or "/"

    def options(self, **changes: Any) -> SftpOptions:
        options = SftpOptions(
            host=self.host,
            port=self.port,
            username=self.username,
            host_keys=(self.host_key,),
            password=self.password,
            ssh_key=self.client_key,
            connect_timeout=5,
            io_timeout=20,
        )
        return replace(options, **changes)

    def as_hop(self, **changes: Any) -> HopOptions:
        """The jump host of another server's options."""
        hop = HopOptions(
            kind=HopKind.JUMP_HOST,
            host=self.host,
            port=self.port,
            username=self.username,
            host_keys=(self.host_key,),
            password=self.password,
            ssh_key=self.client_key,
        )
        return replace(hop, **changes)

    def hop_config(self, **changes: Any) -> dict[str, Any]:
        """The keys of another server's config about this one as its jump host."""
        values = {
            "via": "jump_host",
            "via_host": self.host,
            "via_port": self.port,
            "via_username": self.username,
            "via_host_key": self.host_key,
            "via_password": self.password,
            "via_ssh_key": self.client_key,
        }
        return {key: value for key, value in {**values, **changes}.items() if value is not None}

    def config(self, **changes: Any) -> dict[str, Any]:
        """As the config of a DROPZONE_JSON_V1 connection."""
        values = {
            "mode": "sftp",
            "host": self.host,
            "port": self.port,
            "username": self.username,
            "host_key": self.host_key,
            "password": self.password,
            "ssh_key": self.client_key,
            "export_path": self.path("in"),
            "ack_path": self.path("ack"),
        }
        return {key: value for key, value in {**values, **changes}.items() if value is not None}


def new_key() -> asyncssh.SSHKey:
    return asyncssh.generate_private_key("ssh-ed25519")


def private_text(key: asyncssh.SSHKey, passphrase: str | None = None) -> str:
    """Return the key in OpenSSH's format; a passphrase is hashed in one round, since the usual 128 take seconds."""
    text: str = key.export_private_key(
        "openssh", passphrase=passphrase, rounds=1, ignore_few_rounds=True
    ).decode()
    return text


def public_line(key: asyncssh.SSHKey) -> str:
    return key.export_public_key().decode().strip()
