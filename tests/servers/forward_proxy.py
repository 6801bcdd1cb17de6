"""A real HTTP CONNECT and SOCKS version 5 proxy in threads, on loopback; it can also misbehave."""

import base64
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from erp_connectors.transports.sftp.options import HopKind, HopOptions

USER, PASSWORD = "through", "another: secret"
Replace = Callable[[socket.socket], None]


@dataclass
class ForwardProxy:
    """``login``: it requires `USER` and `PASSWORD`. ``route``: where it connects to instead. ``asked``: targets so far.

    ``refusal``: the reply instead of a connection, a status line or a SOCKS code. ``pause`` is the time after each byte
    of a reply. ``instead`` takes over each connection at once.
    """

    port: int = 0
    login: bool = False
    route: tuple[str, int] | None = None
    refusal: str | int | None = None
    reply: bytes = b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n"
    pause: float = 0
    instead: Replace | None = None
    asked: list[tuple[str, int]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def hop(self, kind: HopKind, **changes: Any) -> HopOptions:
        login: dict[str, Any] = {"username": USER, "password": PASSWORD} if self.login else {}
        return HopOptions(**{"kind": kind, "host": "127.0.0.1", "port": self.port, **login, **changes})

    def config(self, kind: HopKind) -> dict[str, Any]:
        login = {"via_username": USER, "via_password": PASSWORD} if self.login else {}
        return {"via": str(kind), "via_host": "127.0.0.1", "via_port": self.port, **login}

    def serve(self, client: socket.socket) -> None:
        # A client may hang up at any point; what it receives is what counts.
        with client, suppress(Exception):
            if self.instead:
                self.instead(client)
                return
            first = client.recv(1)
            target = self._socks_target(client) if first == b"\x05" else self._http_target(client, first)
            if target:
                self._connect(client, target, socks=first == b"\x05")

    def _connect(self, client: socket.socket, target: tuple[str, int], *, socks: bool) -> None:
        self.asked.append(target)
        with socket.create_connection(self.route or target, timeout=10) as server:
            server.settimeout(None)
            if socks:
                # With the name of the address that it uses, which is the longest kind of reply.
                self._say(client, b"\x05\x00\x00\x03\x09localhost\x00\x16")
            else:
                # In one segment with the server's greeting, as a fast server makes it.
                greeting = server.recv(512)
                self._say(client, self.reply + greeting) if not self.pause else self._say(client, self.reply)
                if self.pause:
                    client.sendall(greeting)
            threading.Thread(target=_pump, args=(client, server), daemon=True).start()
            _pump(server, client)

    def _http_target(self, client: socket.socket, data: bytes) -> tuple[str, int] | None:
        while not data.endswith(b"\r\n\r\n"):
            data += client.recv(1) or b"\r\n\r\n"
        head = data.decode()
        basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.login and f"Proxy-Authorization: Basic {basic}" not in head:
            challenge = (
                "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x\r\n\r\n"
            )
            self._say(client, challenge.encode())
            return None
        if self.refusal is not None:
            self._say(client, f"HTTP/1.1 {self.refusal}\r\nX-Echo: {head[:500]!r}\r\n\r\n".encode())
            return None
        host, _, port = head.split()[1].rpartition(":")
        return host.strip("[]"), int(port)

    def _socks_target(self, client: socket.socket) -> tuple[str, int] | None:
        methods = _exactly(client, _exactly(client, 1)[0])
        wanted = 2 if self.login else 0
        self._say(client, bytes([5, wanted if wanted in methods else 0xFF]))
        if wanted not in methods:
            return None
        if self.login:
            assert _exactly(client, 1) == b"\x01"
            sent = [_exactly(client, _exactly(client, 1)[0]).decode() for _ in range(2)]
            self._say(client, bytes([1, sent != [USER, PASSWORD]]))
            if sent != [USER, PASSWORD]:
                return None
        _, command, _, kind = _exactly(client, 4)
        assert command == 1
        if kind == 3:
            host = _exactly(client, _exactly(client, 1)[0]).decode()
        else:
            family, size = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
            host = socket.inet_ntop(family, _exactly(client, size))
        port = int.from_bytes(_exactly(client, 2))
        if self.refusal is not None:
            self._say(client, bytes([5, int(self.refusal)]))
            return None
        return host, port

    def _say(self, client: socket.socket, data: bytes) -> None:
        if not self.pause:
            client.sendall(data)
            return
        for n in range(len(data)):
            client.sendall(data[n : n + 1])
            if self.stop.wait(self.pause):
                return


@contextmanager
def forward_proxy(**behaviour: Any) -> Iterator[ForwardProxy]:
    proxy = ForwardProxy(**behaviour)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy.port = listener.getsockname()[1]
        threading.Thread(target=_accept, args=(listener, proxy), daemon=True).start()
        try:
            yield proxy
        finally:
            proxy.stop.set()
            # A thread that waits in accept keeps the port open otherwise.
            listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, proxy: ForwardProxy) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=proxy.serve, args=(client,), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def _exactly(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = client.recv(size - len(data))
        if not part:
            raise ValueError("the client hung up")
        data += part
    return data
