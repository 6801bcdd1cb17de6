"""Many files in flight over one SFTP channel.

A task is a generator: it yields requests and gets their replies once all of them are there. A status other than OK
is thrown into the task it belongs to, so that an error stays with its file. The requests of all tasks share the
channel, coalesced into few packets, with the bytes in flight bounded.
"""

import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from erp_connectors.sftp import wire
from erp_connectors.sftp.errors import (
    ConnectionLost,
    ProtocolViolation,
    RequestTimeout,
    SshError,
    StatusError,
)
from erp_connectors.sftp.wire import Reply, Request

ResultT = TypeVar("ResultT")
Task = Generator[Sequence[Request], Sequence[Reply], ResultT]

TASKS_IN_FLIGHT = 64
BYTES_IN_FLIGHT = 1 << 20
REQUESTS_IN_FLIGHT = 1024
SEND_BYTES = 32_000
RECEIVE_BYTES = 1 << 17


class Stream(Protocol):
    """As much of a paramiko channel as the pipeline needs; both raise TimeoutError after ``settimeout`` seconds."""

    def sendall(self, data: bytes) -> None: ...
    def recv(self, nbytes: int) -> bytes: ...
    def settimeout(self, timeout: float | None) -> None: ...


@dataclass(slots=True)
class _Running:
    index: int
    task: Task[Any]
    replies: list[Reply] = field(default_factory=list)
    missing: int = 0
    error: StatusError | None = None


class Pipeline:
    """One SFTP session on a stream. Not for use by several threads at once."""

    def __init__(
        self, stream: Stream, *, io_timeout: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Says hello; raises `SshError`."""
        self._stream = stream
        self._io_timeout = io_timeout
        self._clock = clock
        self._progress = clock()
        self._received = bytearray()
        self._next_id = 0
        self._queue: deque[tuple[Request, _Running, int]] = deque()
        self._waiting: dict[int, tuple[_Running, int, int]] = {}
        self._in_flight = 0
        self._send(wire.hello())
        self.extensions = wire.parse_version(self._packet())

    def run(self, tasks: Sequence[Task[ResultT]]) -> list[ResultT | SshError]:
        """Each task's result or error, in their order. A session that ends gives its error to every open task."""
        results: list[ResultT | SshError] = [ConnectionLost("not begun")] * len(tasks)
        todo = deque(_Running(index, task) for index, task in enumerate(tasks))
        running: dict[int, _Running] = {}
        try:
            while todo or running:
                while todo and len(running) < TASKS_IN_FLIGHT:
                    begun = todo.popleft()
                    running[begun.index] = begun
                    self._advance(begun, None, running, results)
                if running:
                    self._flush()
                    for done in self._receive():
                        self._advance(done, done.error, running, results)
        except SshError as error:
            for lost in (*running.values(), *todo):
                results[lost.index] = error
                lost.task.close()
            self._forget()
        return results

    def run_one(self, task: Task[ResultT]) -> ResultT:
        """Raises what went wrong."""
        (result,) = self.run([task])
        if isinstance(result, SshError):
            raise result
        return result

    def _advance(
        self,
        run: _Running,
        error: StatusError | None,
        running: dict[int, _Running],
        results: list[ResultT | SshError],
    ) -> None:
        try:
            if error is not None:
                requests = run.task.throw(error)
            else:
                requests = run.task.send(run.replies) if run.replies else next(run.task)
        except StopIteration as stop:
            results[run.index] = stop.value
        except StatusError as status:
            results[run.index] = status
        else:
            run.replies, run.missing, run.error = [None] * len(requests), len(requests), None
            self._queue.extend((request, run, place) for place, request in enumerate(requests))
            return
        del running[run.index]

    def _flush(self) -> None:
        packets: list[bytes] = []
        size = 0
        while self._queue and self._may_send():
            request, run, place = self._queue.popleft()
            self._next_id = (self._next_id + 1) & 0xFFFFFFFF
            packet = request.packet(self._next_id)
            self._waiting[self._next_id] = (run, place, len(packet))
            self._in_flight += len(packet)
            packets.append(packet)
            size += len(packet)
            if size >= SEND_BYTES:
                self._send(b"".join(packets))
                packets, size = [], 0
        if packets:
            self._send(b"".join(packets))

    def _may_send(self) -> bool:
        room = self._in_flight < BYTES_IN_FLIGHT and len(self._waiting) < REQUESTS_IN_FLIGHT
        return room or not self._waiting

    def _receive(self) -> list[_Running]:
        """Wait for at least one reply; returns the tasks that have all of theirs."""
        done = []
        packet: bytes | None = self._packet()
        while packet is not None:
            run, place, size = self._owner(packet)
            reply = wire.parse_reply(packet[0], packet[5:])
            self._in_flight -= size
            if isinstance(reply, StatusError):
                run.error = run.error or reply
            else:
                run.replies[place] = reply
            run.missing -= 1
            if not run.missing:
                done.append(run)
            packet = self._whole_packet()
        return done

    def _owner(self, packet: bytes) -> tuple[_Running, int, int]:
        if len(packet) < 5:
            raise ProtocolViolation("a packet is too short to be a reply")
        request_id = int.from_bytes(packet[1:5], "big")
        try:
            return self._waiting.pop(request_id)
        except KeyError:
            raise ProtocolViolation("the server answered a request that was never made") from None

    def _packet(self) -> bytes:
        while (packet := self._whole_packet()) is None:
            self._fill()
        return packet

    def _whole_packet(self) -> bytes | None:
        if len(self._received) < 4:
            return None
        length = int.from_bytes(self._received[:4], "big")
        if not 1 <= length <= wire.MAX_PACKET:
            raise ProtocolViolation(f"the server announced a packet of {length} bytes")
        if len(self._received) < 4 + length:
            return None
        packet = bytes(self._received[4 : 4 + length])
        del self._received[: 4 + length]
        self._progress = self._clock()
        return packet

    def _fill(self) -> None:
        # Only a whole packet counts as progress: one byte a minute must not keep a worker for ever.
        left = self._progress + self._io_timeout - self._clock()
        if left <= 0:
            raise RequestTimeout(f"no answer within {self._io_timeout:g} s")
        try:
            self._stream.settimeout(left)
            data = self._stream.recv(RECEIVE_BYTES)
        except TimeoutError:
            raise RequestTimeout(f"no answer within {self._io_timeout:g} s") from None
        except (OSError, EOFError) as error:
            raise ConnectionLost(str(error) or "the connection broke off") from error
        if not data:
            raise ConnectionLost("the server closed the connection")
        self._received += data

    def _send(self, data: bytes) -> None:
        try:
            self._stream.settimeout(self._io_timeout)
            self._stream.sendall(data)
        except TimeoutError:
            raise RequestTimeout(f"nothing was taken within {self._io_timeout:g} s") from None
        except (OSError, EOFError) as error:
            raise ConnectionLost(str(error) or "the connection broke off") from error
        self._progress = self._clock()

    def _forget(self) -> None:
        self._queue.clear()
        self._waiting.clear()
        self._in_flight = 0
