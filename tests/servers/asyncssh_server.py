"""AsyncSSH's SFTP server in a thread, on loopback; it can also misbehave in ways that real servers rarely do."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

from tests.servers.ssh import PASSWORD, USERNAME, SshServer, new_key, public_line

Interfere = Callable[[str, str], None]


@dataclass
class Behaviour:
    """``interfere(operation, path)`` runs before each open, write, close, fsync, fstat, mode, rename and remove, and
    may raise `asyncssh.SFTPError` or `DropConnection`; what is in ``after`` runs once the operation is done, its reply
    not yet sent. ``look(operation, path)`` runs before each stat, lstat, opendir, readdir, mkdir and rmdir. A folder's
    listing leaves out the ``unlisted`` names. ``on_login`` and ``on_session`` run before a login and a request for SFTP
    are answered. ``trusted`` are public keys that may log in beside the server's own client. ``forward(host, port)``
    makes it a jump host: it returns the host and port to connect to, or raises `asyncssh.ChannelOpenError`."""

    posix_rename: bool = True
    interfere: Interfere | None = None
    after: Interfere | None = None
    look: Interfere | None = None
    unlisted: set[str] = field(default_factory=set)
    on_login: Callable[[], None] = lambda: None
    on_session: Callable[[], None] = lambda: None
    trusted: list[str] = field(default_factory=list)
    forward: Callable[[str, int], tuple[str, int]] | None = None
    forwarded: list[tuple[str, int]] = field(default_factory=list)
    connections: int = 0
    sessions: int = 0
    log: list[str] = field(default_factory=list)


class DropConnection(Exception):
    """Cut the link without a word."""


class _Server(asyncssh.SSHServer):
    _connection: asyncssh.SSHServerConnection

    def __init__(self, client_key: str, behaviour: Behaviour) -> None:
        self._client_key = client_key
        self._behaviour = behaviour

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._behaviour.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._behaviour.connections -= 1

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> Any:
        if self._behaviour.forward is None:
            return False
        self._behaviour.forwarded.append((dest_host, dest_port))
        return self._connection.forward_connection(*self._behaviour.forward(dest_host, dest_port))

    def begin_auth(self, username: str) -> bool:
        self._behaviour.on_login()
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USERNAME, PASSWORD)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        known = {line.split()[1] for line in (self._client_key, *self._behaviour.trusted)}
        return username == USERNAME and key.export_public_key().decode().split()[1] in known


class _Files(asyncssh.SFTPServer):
    """AsyncSSH's own file server, which tells ``behaviour`` what it does and lets it interfere."""

    def __init__(self, channel: "asyncssh.SSHServerChannel[bytes]", root: Path, behaviour: Behaviour) -> None:
        super().__init__(channel, chroot=str(root).encode())
        self._behaviour = behaviour
        behaviour.sessions += 1
        behaviour.on_session()

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> Any:
        return self._around("open", path, lambda: super(_Files, self).open(path, pflags, attrs))

    def write(self, file_obj: Any, offset: int, data: bytes) -> Any:
        return self._around("write", b"", lambda: super(_Files, self).write(file_obj, offset, data))

    def fsetstat(self, file_obj: Any, attrs: asyncssh.SFTPAttrs) -> Any:
        return self._around("mode", b"", lambda: super(_Files, self).fsetstat(file_obj, attrs))

    def close(self, file_obj: Any) -> Any:
        return self._ask("close", b"", lambda: super(_Files, self).close(file_obj))

    def fsync(self, file_obj: Any) -> Any:
        return self._ask("fsync", b"", lambda: super(_Files, self).fsync(file_obj))

    def fstat(self, file_obj: Any) -> Any:
        return self._ask("fstat", b"", lambda: super(_Files, self).fstat(file_obj))

    def rename(self, oldpath: bytes, newpath: bytes) -> Any:
        return self._around("rename", newpath, lambda: super(_Files, self).rename(oldpath, newpath))

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> Any:
        if not self._behaviour.posix_rename:
            raise asyncssh.SFTPOpUnsupported("posix-rename is switched off")
        return self._around("rename", newpath, lambda: super(_Files, self).posix_rename(oldpath, newpath))

    def remove(self, path: bytes) -> Any:
        return self._around("remove", path, lambda: super(_Files, self).remove(path))

    def stat(self, path: bytes) -> Any:
        return self._look("stat", path, super().stat)

    def lstat(self, path: bytes) -> Any:
        return self._look("lstat", path, super().lstat)

    def scandir(self, path: bytes) -> Any:
        return self._scan(self._look("opendir", path, super().scandir), path)

    async def _scan(self, names: Any, path: bytes) -> Any:
        self._maybe(self._behaviour.look, "readdir", path.decode())
        async for name in names:
            if name.filename.decode() not in self._behaviour.unlisted:
                yield name

    def mkdir(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> Any:
        return self._look("mkdir", path, lambda folder: super(_Files, self).mkdir(folder, attrs))

    def rmdir(self, path: bytes) -> Any:
        return self._look("rmdir", path, super().rmdir)

    def _look(self, operation: str, path: bytes, action: Callable[[bytes], Any]) -> Any:
        # AsyncSSH looks at "." and ".." of a folder itself when that is listed.
        if not path.endswith(b"."):
            self._maybe(self._behaviour.look, operation, path.decode("utf-8", "replace"))
        return action(path)

    def _around(self, operation: str, path: bytes, action: Callable[[], Any]) -> Any:
        self._behaviour.log.append(f"{operation} {path.decode('utf-8', 'replace')}")
        return self._ask(operation, path, action)

    def _ask(self, operation: str, path: bytes, action: Callable[[], Any]) -> Any:
        """Run an operation without logging it: the log is of changes to files."""
        name = path.decode("utf-8", "replace")
        self._maybe(self._behaviour.interfere, operation, name)
        result = action()
        self._maybe(self._behaviour.after, operation, name)
        return result

    def _maybe(self, interfere: Interfere | None, operation: str, name: str) -> None:
        if interfere:
            try:
                interfere(operation, name)
            except DropConnection:
                self.channel.get_connection().abort()
                raise asyncssh.SFTPFailure("gone") from None


@contextmanager
def asyncssh_server(
    root: Path, *, behaviour: Behaviour | None = None, **ssh_options: Any
) -> Iterator[SshServer]:
    """Serves ``root`` with password and key login until the block ends."""
    host_key, client_key = new_key(), new_key()
    behaviour = behaviour or Behaviour()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="asyncssh-server", daemon=True)
    thread.start()

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[host_key],
            server_factory=lambda: _Server(public_line(client_key), behaviour),
            sftp_factory=lambda channel: _Files(channel, root, behaviour),
            **ssh_options,
        )

    acceptor = asyncio.run_coroutine_threadsafe(listen(), loop).result(60)
    try:
        yield SshServer(
            "127.0.0.1",
            acceptor.get_port(),
            public_line(host_key),
            root,
            client_key=client_key.export_private_key().decode(),
        )
    finally:
        asyncio.run_coroutine_threadsafe(_stop(acceptor), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)


async def _stop(acceptor: asyncssh.SSHAcceptor) -> None:
    acceptor.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
