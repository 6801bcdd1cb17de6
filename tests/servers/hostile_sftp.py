"""An SFTP server that means harm: real SSH (paramiko's server side), files in memory, and any reply replaced.

`raw_server` speaks no SSH at all: it sends whatever it is told to, to everybody who connects.
"""

import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from io import StringIO
from pathlib import Path, PurePosixPath
from typing import Any

import paramiko
from paramiko.common import (
    AUTH_FAILED,
    AUTH_PARTIALLY_SUCCESSFUL,
    AUTH_SUCCESSFUL,
    OPEN_FAILED_RESOURCE_SHORTAGE,
    OPEN_SUCCEEDED,
)
from paramiko.server import InteractiveQuery

from erp_connectors.sftp import wire
from erp_connectors.sftp.wire import Reader, string
from tests.servers.ssh import PASSWORD, USERNAME, SshServer, new_key, public_line

U32, U64 = struct.Struct(">I"), struct.Struct(">Q")
FOLDER, FILE = 0o040755, 0o100644

# Gets the files, the request's id and its body; None: answer honestly.
Attack = Callable[["Files", int, bytes], "bytes | Iterable[bytes] | None"]


def packet(kind: int, body: bytes) -> bytes:
    return U32.pack(len(body) + 1) + bytes([kind]) + body


def reply(kind: int, request: int, body: bytes = b"") -> bytes:
    return packet(kind, U32.pack(request) + body)


def status(request: int, code: int, text: bytes = b"") -> bytes:
    return reply(wire.STATUS, request, U32.pack(code) + string(text) + string(b""))


def attributes(size: int, mode: int = FILE, mtime: int = 1) -> bytes:
    flags = wire.A_SIZE | wire.A_PERMISSIONS | wire.A_TIMES
    return U32.pack(flags) + U64.pack(size) + U32.pack(mode) + U32.pack(mtime) * 2


def named(name: bytes, attrs: bytes = attributes(0)) -> bytes:
    return string(name) + string(b"") + attrs


def names(request: int, *entries: bytes) -> bytes:
    return reply(wire.NAME, request, U32.pack(len(entries)) + b"".join(entries))


class Opening(Enum):
    """How far a channel of a connection gets."""

    WHOLE = "it works"
    REFUSED = "it is refused"
    ENDS_ALL = "the connection is closed"
    UNANSWERED = "the request for it is not answered"
    NO_SFTP = "it is opened, and the request for SFTP is not answered"
    NO_GREETING = "SFTP begins, and its greeting is not answered"
    NO_REPLIES = "SFTP greets, and answers no request"


@dataclass
class Attacks:
    """What is done instead of the honest thing. ``on_keys`` and ``on_sftp`` get the server's side of the connection.

    ``opening`` gets the number of a channel in its connection, from 1 on. ``files_of`` makes what a channel works on
    from the server's files. Requests of a kind in ``late`` are carried out so many seconds after they came, the others
    meanwhile, except that those in ``wait`` let all before them end first.
    """

    opening: Callable[[int], Opening] = lambda number: Opening.WHOLE
    files_of: Callable[["Files"], "Files"] = lambda files: files
    late: dict[int, float] = field(default_factory=dict)
    wait: frozenset[int] = frozenset()
    replies: dict[int, Attack] = field(default_factory=dict)
    version: "Callable[[], bytes | Iterable[bytes]]" = lambda: packet(wire.VERSION, U32.pack(3))
    on_keys: Callable[["_ServerSide"], None] = lambda transport: None
    on_sftp: Callable[["_ServerSide", paramiko.Channel], None] = lambda transport, channel: None


@dataclass
class Files:
    """An honest SFTP server's folders, in memory."""

    content: dict[str, bytearray] = field(default_factory=dict)
    folders: set[str] = field(default_factory=lambda: {"/", "/in", "/ack"})
    handles: dict[bytes, str] = field(default_factory=dict)
    listed: set[bytes] = field(default_factory=set)
    asked: int = 0

    def answer(self, kind: int, request: int, body: bytes) -> bytes:
        reader = Reader(body)
        if kind == wire.EXTENDED:
            return status(request, wire.OP_UNSUPPORTED)
        first = reader.string()
        if kind in (wire.CLOSE, wire.READ, wire.WRITE, wire.FSTAT, wire.FSETSTAT, wire.READDIR):
            return self._on_handle(kind, request, first, reader)
        return self._on_path(kind, request, first.decode("utf-8", "surrogateescape"), reader)

    def _on_handle(self, kind: int, request: int, handle: bytes, reader: Reader) -> bytes:
        path = self.handles[handle]
        if kind == wire.READ:
            at, size = reader.u64(), reader.u32()
            part = bytes(self.content[path][at : at + size])
            return reply(wire.DATA, request, string(part)) if part else status(request, wire.EOF)
        if kind == wire.WRITE:
            at, data = reader.u64(), reader.string()
            self.content[path].extend(bytes(max(0, at - len(self.content[path]))))
            self.content[path][at : at + len(data)] = data
        elif kind == wire.FSTAT:
            return reply(wire.ATTRS, request, attributes(len(self.content[path])))
        elif kind == wire.READDIR:
            return self._listing(request, handle, path)
        return status(request, wire.OK)

    def _listing(self, request: int, handle: bytes, folder: str) -> bytes:
        if handle in self.listed:
            return status(request, wire.EOF)
        self.listed.add(handle)
        inside = [path for path in self.content if str(PurePosixPath(path).parent) == folder]
        return names(
            request,
            named(b"."),
            *(named(PurePosixPath(p).name.encode(), attributes(len(self.content[p]))) for p in inside),
        )

    def _on_path(self, kind: int, request: int, path: str, reader: Reader) -> bytes:
        if kind in (wire.MKDIR, wire.RMDIR):
            return status(request, self._on_folder(kind, path))
        if kind == wire.OPEN and reader.u32() & wire.F_CREAT:
            self.content[path] = bytearray()
        there = path in self.folders or path in self.content
        if not there:
            return status(request, wire.NO_SUCH_FILE)
        if kind in (wire.OPEN, wire.OPENDIR):
            handle = U32.pack(len(self.handles))
            self.handles[handle] = path
            return reply(wire.HANDLE, request, string(handle))
        if kind in (wire.STAT, wire.LSTAT):
            known = self.content.get(path)
            attrs = attributes(0, FOLDER) if known is None else attributes(len(known))
            return reply(wire.ATTRS, request, attrs)
        return self._change(kind, request, path, reader)

    def _on_folder(self, kind: int, path: str) -> int:
        if kind == wire.RMDIR:
            there = path in self.folders
            self.folders.discard(path)
            return wire.OK if there else wire.NO_SUCH_FILE
        if path in self.folders or path in self.content:
            return wire.FAILURE
        self.folders.add(path)
        return wire.OK

    def _change(self, kind: int, request: int, path: str, reader: Reader) -> bytes:
        if kind == wire.RENAME:
            target = reader.string().decode()
            if target in self.content:
                return status(request, wire.FAILURE)
            self.content[target] = self.content.pop(path)
        else:
            del self.content[path]
        return status(request, wire.OK)


class _ServerSide(paramiko.Transport):
    attacks: Attacks
    channels_asked = 0
    _mute = False

    def _parse_channel_open(self, message: paramiko.Message) -> None:
        self.channels_asked += 1
        opening = self.attacks.opening(self.channels_asked)
        if opening is Opening.ENDS_ALL:
            self.close()
        elif opening is not Opening.UNANSWERED:
            super()._parse_channel_open(message)  # type: ignore[misc]

    def leave_out_next_message(self) -> None:
        self._mute = True

    def _send_user_message(self, message: paramiko.Message) -> None:
        if self._mute:
            self._mute = False
        else:
            super()._send_user_message(message)  # type: ignore[misc]

    def _activate_outbound(self) -> None:
        super()._activate_outbound()  # type: ignore[misc]
        self.attacks.on_keys(self)

    def send(self, kind: int, body: bytes) -> None:
        """Any SSH message at all."""
        message = paramiko.Message()
        message.add_bytes(bytes([kind]) + body)
        self._send_user_message(message)

    def send_in_handshake(self, kind: int, body: bytes) -> None:
        message = paramiko.Message()
        message.add_bytes(bytes([kind]) + body)
        self._send_message(message)  # type: ignore[attr-defined]


class _Gate(paramiko.ServerInterface):
    def __init__(self, transport: _ServerSide) -> None:
        self.transport = transport
        self.openings: dict[int, Opening] = {}

    def check_auth_password(self, username: str, password: str) -> int:
        right = (username, password) == (USERNAME, PASSWORD)
        return AUTH_SUCCESSFUL if right else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        opening = self.openings[chanid] = self.transport.attacks.opening(self.transport.channels_asked)
        return OPEN_FAILED_RESOURCE_SHORTAGE if opening is Opening.REFUSED else OPEN_SUCCEEDED

    def check_channel_subsystem_request(self, channel: paramiko.Channel, name: str) -> bool:
        if self.openings[channel.get_id()] is Opening.NO_SFTP:
            self.transport.leave_out_next_message()
            return True
        return super().check_channel_subsystem_request(channel, name)


class StepwiseGate(_Gate):
    """Lets a user in after all ``steps``, each asked for only when those before it are done.

    ``questions`` are asked by keyboard-interactive, and the password is their answer.
    """

    def __init__(
        self,
        transport: "_ServerSide",
        *steps: str,
        questions: Sequence[tuple[str, bool]] = (("Password: ", False),),
    ) -> None:
        super().__init__(transport)
        self.open_steps = list(steps)
        self.questions = questions
        self.services, self.tried = 0, list[str]()

    def get_banner(self) -> tuple[None, None]:
        # Asked for with each request for the login service.
        self.services += 1
        return None, None

    def get_allowed_auths(self, username: str) -> str:
        return self.open_steps[0]

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return self._step("publickey", right=True)

    def check_auth_password(self, username: str, password: str) -> int:
        return self._step("password", right=password == PASSWORD)

    def check_auth_interactive(self, username: str, submethods: str) -> int | InteractiveQuery:
        if self.open_steps[0] != "keyboard-interactive":
            return self._step("keyboard-interactive", right=False)
        return InteractiveQuery("", "", *self.questions)

    def check_auth_interactive_response(self, responses: list[str]) -> int:
        return self._step("keyboard-interactive", right=list(responses) == [PASSWORD])

    def _step(self, method: str, *, right: bool) -> int:
        self.tried.append(method)
        if self.open_steps[0] != method or not right:
            return AUTH_FAILED
        if len(self.open_steps) == 1:
            return AUTH_SUCCESSFUL
        self.open_steps.pop(0)
        return AUTH_PARTIALLY_SUCCESSFUL


class _Sftp(paramiko.SubsystemHandler):
    def __init__(
        self, channel: paramiko.Channel, name: str, server: Any, files: Files, attacks: Attacks
    ) -> None:
        super().__init__(channel, name, server)
        self.files, self.attacks = attacks.files_of(files), attacks
        self.opening = server.openings[channel.get_id()]
        self.sending = threading.Lock()
        self.late: list[threading.Timer] = []

    def start_subsystem(self, name: str, transport: Any, channel: paramiko.Channel) -> None:
        with suppress(OSError, EOFError, paramiko.SSHException):
            self._read(channel)
            if self.opening is not Opening.NO_GREETING:
                self._send(channel, self.attacks.version())
            self.attacks.on_sftp(transport, channel)
            while data := self._read(channel):
                if self.opening is Opening.WHOLE:
                    self._take(channel, data[0], data[1:])

    def _take(self, channel: paramiko.Channel, kind: int, data: bytes) -> None:
        self.files.asked += 1
        if kind in self.attacks.late:
            self.late.append(threading.Timer(self.attacks.late[kind], self._answer, (channel, kind, data)))
            self.late[-1].start()
            return
        while kind in self.attacks.wait and self.late:
            self.late.pop().join()
        self._answer(channel, kind, data)

    def _answer(self, channel: paramiko.Channel, kind: int, data: bytes) -> None:
        request, body = U32.unpack_from(data)[0], data[4:]
        attack = self.attacks.replies.get(kind)
        answer = attack(self.files, request, body) if attack else None
        self._send(channel, self.files.answer(kind, request, body) if answer is None else answer)

    def _send(self, channel: paramiko.Channel, data: "bytes | Iterable[bytes]") -> None:
        with self.sending:
            for part in [data] if isinstance(data, bytes) else data:
                channel.sendall(part)

    def _read(self, channel: paramiko.Channel) -> bytes:
        return self._exactly(channel, U32.unpack(self._exactly(channel, 4))[0])

    def _exactly(self, channel: paramiko.Channel, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = channel.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        return data


@contextmanager
def hostile_server(
    attacks: Attacks,
    *,
    root: Path,
    files: Files | None = None,
    gate: "Callable[[_ServerSide], paramiko.ServerInterface]" = _Gate,
) -> Iterator[SshServer]:
    """Password login unless ``gate`` is another; ``root`` is only for helpers that want one, nothing is kept there."""
    host_key = new_key()
    paramiko_key = paramiko.Ed25519Key.from_private_key(
        StringIO(host_key.export_private_key("openssh").decode())
    )
    files = files if files is not None else Files()
    transports: list[paramiko.Transport] = []

    def serve(client: socket.socket) -> None:
        transport = _ServerSide(client)
        transport.attacks = attacks
        transports.append(transport)
        transport.add_server_key(paramiko_key)
        transport.set_subsystem_handler("sftp", _Sftp, files, attacks)
        with suppress(paramiko.SSHException, EOFError, OSError):
            transport.start_server(server=gate(transport))

    with _listening(serve) as port:
        yield SshServer("127.0.0.1", port, public_line(host_key), root)
        for transport in transports:
            transport.close()


@contextmanager
def raw_server(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """``talk`` to everybody who connects, from a thread for each; its port."""
    with _listening(talk) as port:
        yield port


@contextmanager
def _listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    clients: list[socket.socket] = []

    def one(client: socket.socket) -> None:
        with suppress(OSError):
            serve(client)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                clients.append(client)
                threading.Thread(target=one, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        for one_socket in (listener, *clients):
            with suppress(OSError):
                one_socket.shutdown(socket.SHUT_RDWR)
            one_socket.close()
