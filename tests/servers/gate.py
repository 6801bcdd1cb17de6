"""A TCP relay in front of a server. From a chosen moment on, the server's answers come no more, or byte by byte."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

SILENT = float("inf")


class Gate:
    """``choke`` may be called at any time, also by the server itself; what is held back is never sent.

    ``spoilt``: the place of a byte that arrives with all its bits the other way round.
    """

    def __init__(self, target: int, *, after_greeting: float | None = None) -> None:
        """``after_greeting``: choke to that pace after the server's first line."""
        self._target = target
        self._after_greeting = after_greeting
        self._deaf = False
        self._pace: float | None = None
        # Connections up to this number are silent.
        self._silenced = 0
        self.spoilt: int | None = None
        self._closed = threading.Event()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        # So that a client that is not listened to notices soon.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.port: int = self._listener.getsockname()[1]
        self.accepted = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def choke(self, seconds_per_byte: float = SILENT) -> None:
        self._pace = seconds_per_byte

    def silence_connected(self) -> None:
        """Hold back what the server sends to those who are connected now, for ever; others are answered."""
        self._silenced = self.accepted

    def deafen(self) -> None:
        """Take nothing more from the client, until its buffers and ours are full."""
        self._deaf = True

    def open(self) -> None:
        """For those who connect from now on."""
        self._pace = None

    def close(self) -> None:
        self._closed.set()
        for one in (self._listener, *self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.accepted += 1
                server = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += (client, server)
                threading.Thread(target=self._forth, args=(client, server), daemon=True).start()
                back = (server, client, self.accepted)
                threading.Thread(target=self._back, args=back, daemon=True).start()

    def _forth(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(1 << 16):
                server.sendall(data)
                if self._deaf:
                    self._closed.wait()
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)

    def _back(self, server: socket.socket, client: socket.socket, number: int) -> None:
        greeted, passed = self._after_greeting is None, 0
        with suppress(OSError):
            while data := server.recv(1 << 16):
                if number <= self._silenced:
                    self._closed.wait()
                data, passed = self._spoil(data, passed), passed + len(data)
                if not greeted:
                    line, newline, data = data.partition(b"\n")
                    client.sendall(line + newline)
                    greeted = bool(newline)
                    self._pace = self._after_greeting
                self._send(client, data)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def _spoil(self, data: bytes, passed: int) -> bytes:
        at = -1 if self.spoilt is None else self.spoilt - passed
        return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :] if 0 <= at < len(data) else data

    def _send(self, client: socket.socket, data: bytes) -> None:
        for at in range(len(data)):
            if self._pace is None:
                client.sendall(data[at:])
                return
            if self._closed.wait(None if self._pace == SILENT else self._pace):
                return
            client.sendall(data[at : at + 1])


@contextmanager
def gate(target: int, *, after_greeting: float | None = None) -> Iterator[Gate]:
    opened = Gate(target, after_greeting=after_greeting)
    try:
        yield opened
    finally:
        opened.close()
