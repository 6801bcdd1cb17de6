"""A real SFTP server on loopback, with a host key of its own and login by key: the demo's second dropzone."""

import asyncio
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

USER = "orderflow"


@dataclass(frozen=True, slots=True)
class SftpServer:
    port: int
    host_key: str
    client_key: str

    def config(self) -> dict[str, Any]:
        """A connection's config that reaches this server."""
        return {
            "mode": "sftp",
            "host": "127.0.0.1",
            "port": self.port,
            "username": USER,
            "ssh_key": self.client_key,
            "host_key": self.host_key,
            "export_path": "/in",
            "ack_path": "/out",
        }


def start(root: Path, keys: Path, *, port: int = 0) -> SftpServer:
    """Serve ``root`` until this process ends; keys are made on first use. ``port`` 0: any free one."""
    try:
        import asyncssh  # noqa: PLC0415  # only the demo needs it
    except ImportError:
        raise CommandError("The demo's SFTP server needs asyncssh: install requirements-dev.txt.") from None
    host_key, client_key = (_key(asyncssh, keys / name) for name in ("host_key", "client_key"))

    async def listen() -> int:
        server = await asyncssh.listen(
            "127.0.0.1",
            port,
            server_host_keys=[host_key],
            authorized_client_keys=asyncssh.import_authorized_keys(client_key.export_public_key().decode()),
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(root).encode()),
        )
        return server.get_port()

    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="demo-sftp", daemon=True).start()
    try:
        chosen = asyncio.run_coroutine_threadsafe(listen(), loop).result(10)
    except OSError:
        if not port:
            raise
        # Another program took the port; the connection gets the new one.
        return start(root, keys)
    return SftpServer(
        chosen, host_key.export_public_key().decode().strip(), client_key.export_private_key().decode()
    )


def _key(asyncssh: Any, path: Path) -> Any:
    if path.exists():
        return asyncssh.read_private_key(str(path))
    key = asyncssh.generate_private_key("ssh-ed25519")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(key.export_private_key())
    return key
