"""Receive from a client within a time limit; send an answer while another thread writes it."""

import errno
import socket
import threading
import time
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile

KIB = 1024
# Bytes of one body or answer; a larger one goes to a temporary file.
IN_MEMORY = 256 * KIB
PIECE = 64 * KIB


@dataclass(frozen=True, slots=True)
class Limit:
    """Time limit: ``first`` seconds, plus one for each ``rate`` bytes received, at most ``most`` in all."""

    what: str
    first: float
    rate: int
    most: float


class TooSlow(Exception):
    """A client did not send headers or body in time."""


class ClientSocket(socket.socket):
    """A client's connection; `recv` raises `TooSlow` if the `Limit` that is set has passed."""

    _limit: Limit | None = None
    _since = 0.0
    _received = 0

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(fileno=accepted.detach())

    def allow(self, limit: Limit | None) -> None:
        """Start a time limit now; None removes it."""
        self._limit, self._since, self._received = limit, time.monotonic(), 0

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        if self._limit is None:
            return super().recv(size, flags)
        try:
            self.settimeout(self._left(self._limit))
            data = super().recv(size, flags)
        except TimeoutError:
            raise TooSlow(self._limit.what) from None
        self._received += len(data)
        return data

    def _left(self, limit: Limit) -> float:
        allowed = min(limit.first + self._received / limit.rate, limit.most)
        left = self._since + allowed - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class ResponseBuffer:
    """A buffer between the thread that writes an answer, which never waits, and the thread that sends it.

    gunicorn uses it as the socket.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._file = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115  # closed with its last reference
        self._written = self._sent = 0
        self._complete = self._unwanted = False

    def sendall(self, data: bytes) -> None:
        """Add to the answer. Raise `BrokenPipeError` if the client is gone."""
        with self._changed:
            if self._unwanted:
                raise BrokenPipeError(errno.EPIPE, "the client is gone")
            self._file.seek(self._written)
            self._file.write(data)
            self._written += len(data)
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._complete = True
            self._changed.notify_all()

    def shutdown(self, how: int) -> None:
        """Raise `OSError`, so that gunicorn calls only `close`: the sending thread closes the connection."""
        raise OSError(errno.ENOTCONN, "not a socket")

    def send_to(self, client: socket.socket, seconds: float) -> bool:
        """Send until the answer is complete. Return False if the client did not take `PIECE` bytes in ``seconds``."""
        try:
            while piece := self._next_piece():
                client.settimeout(seconds)
                client.sendall(piece)
        except OSError:
            with self._changed:
                self._unwanted = True
            return False
        return True

    def _next_piece(self) -> bytes:
        """Wait for the next piece and return it; empty at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._written > self._sent or self._complete)
            self._file.seek(self._sent)
            piece = self._file.read(PIECE)
            self._sent += len(piece)
            return piece
