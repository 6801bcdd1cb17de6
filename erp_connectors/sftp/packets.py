"""SFTP packets over a stream of bytes, with a deadline for each answer and for all of them together."""

from collections.abc import Callable
from typing import Protocol

from erp_connectors.sftp import wire
from erp_connectors.sftp.errors import ConnectionLost, ProtocolViolation, RequestTimeout
from erp_connectors.sftp.texts import Text, seconds, sentence_of

# The most that fits into one SSH packet of any server.
SEND_BYTES = 32_704
RECEIVE_BYTES = 1 << 17
# A server that sends each answer just in time must not keep a worker for ever. All answers together may take PATIENCE
# times as long as one, plus the time that the slowest link needs for the bytes sent and received.
PATIENCE = 10
SLOWEST_BYTES_A_SECOND = 64 * 1024


class Stream(Protocol):
    """The part of a paramiko channel that is used here; it raises TimeoutError after ``settimeout`` seconds."""

    closed: bool

    def sendall(self, data: bytes) -> None: ...
    def recv(self, nbytes: int) -> bytes: ...
    def settimeout(self, timeout: float | None) -> None: ...
    def close(self) -> None: ...


class PacketStream:
    def __init__(self, stream: Stream, *, io_timeout: float, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._io_timeout = io_timeout
        self._clock = clock
        self._progress = self._began = clock()
        self._moved = 0
        self._received = bytearray()

    def begin(self) -> None:
        """Start the deadline for all answers to the next requests."""
        self._began, self._moved = self._clock(), 0

    def send(self, data: bytes) -> None:
        """Send whole packets. Raises `SshError`."""
        for at in range(0, len(data), SEND_BYTES):
            self._send_piece(data[at : at + SEND_BYTES])

    def wait(self) -> bytes:
        """Return the next packet. Raises `SshError`."""
        while (packet := self.ready()) is None:
            self._fill()
        return packet

    def ready(self) -> bytes | None:
        """Return the next packet if it has arrived. Raises `ProtocolViolation`."""
        if len(self._received) < 4:
            return None
        length = int.from_bytes(self._received[:4], "big")
        if not 1 <= length <= wire.MAX_PACKET:
            raise ProtocolViolation(Text("ssh.packet_size", size=length))
        if len(self._received) < 4 + length:
            return None
        packet = bytes(self._received[4 : 4 + length])
        del self._received[: 4 + length]
        self._progress = self._clock()
        return packet

    def _fill(self) -> None:
        left = self._time_left()
        try:
            self._stream.settimeout(left)
            data = self._stream.recv(RECEIVE_BYTES)
        except TimeoutError:
            raise RequestTimeout(Text("ssh.no_answer_in_time", seconds=seconds(self._io_timeout))) from None
        except (OSError, EOFError) as error:
            raise ConnectionLost(*sentence_of(error)) from error
        if not data:
            raise ConnectionLost(Text("ssh.closed_by_server"))
        self._received += data
        self._moved += len(data)

    def _time_left(self) -> float:
        """Return the seconds until the next deadline. Raises `RequestTimeout` if it has passed."""
        now = self._clock()
        # Only a whole packet counts as progress: one byte a minute must not keep a worker for ever.
        if (answer := self._progress + self._io_timeout - now) <= 0:
            raise RequestTimeout(Text("ssh.no_answer_in_time", seconds=seconds(self._io_timeout)))
        allowed = PATIENCE * self._io_timeout + self._moved / SLOWEST_BYTES_A_SECOND
        if (everything := self._began + allowed - now) <= 0:
            raise RequestTimeout(Text("ssh.not_all_answers_in_time", seconds=round(allowed)))
        return min(answer, everything)

    def _send_piece(self, data: bytes) -> None:
        began = self._progress = self._clock()
        try:
            self._stream.settimeout(self._time_left())
            self._stream.sendall(data)
        except (OSError, EOFError) as error:
            if isinstance(error, TimeoutError) or self._clock() - began >= self._io_timeout:
                raise RequestTimeout(
                    Text("ssh.nothing_read_in_time", seconds=seconds(self._io_timeout))
                ) from None
            raise ConnectionLost(*sentence_of(error)) from error
        self._progress = self._clock()
        self._moved += len(data)
