"""Many files in flight over one SFTP channel.

A task is a generator: it yields requests and gets their replies once all of them are there. A status other than OK
is thrown into the task it belongs to, so that an error stays with its file. The requests of all tasks share the
channel, coalesced into few packets, with the bytes in flight bounded.
"""

import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, TypeVar

from erp_connectors.sftp import wire
from erp_connectors.sftp.errors import (
    ConnectionLost,
    HandleReused,
    ProtocolViolation,
    SshError,
    StatusError,
)
from erp_connectors.sftp.handles import OpenHandles
from erp_connectors.sftp.packets import PacketStream, Stream
from erp_connectors.sftp.redact import Redact
from erp_connectors.sftp.texts import Text
from erp_connectors.sftp.wire import Reply, Request

ResultT = TypeVar("ResultT")
Task = Generator[Sequence[Request], Sequence[Reply], ResultT]

# What every server allows; one that offers limits@openssh.com says how many more.
FILES_OPEN = 64
TASKS_IN_FLIGHT = 512
BYTES_IN_FLIGHT = 2 << 20
REQUESTS_IN_FLIGHT = 1024


@dataclass(slots=True, eq=False)
class _Running:
    """A task under way; ``done`` takes its result or error."""

    task: Task[Any]
    done: Callable[[Any], None]
    replies: list[Reply] = field(default_factory=list)
    missing: int = 0
    error: StatusError | None = None


class _Awaited(NamedTuple):
    """The task that waits for a reply (None if no task does), and the index of the reply."""

    run: _Running | None
    place: int
    request: Request


class Pipeline:
    """One SFTP session on a stream. Not for use by several threads at once."""

    def __init__(
        self,
        stream: Stream,
        *,
        io_timeout: float,
        clock: Callable[[], float] = time.monotonic,
        hide: Redact = str,
    ) -> None:
        """Says hello; raises `SshError`. ``hide`` is asked for each text of the server's."""
        self._hide = hide
        self._stream = stream
        self._packets = PacketStream(stream, io_timeout=io_timeout, clock=clock)
        self._next_id = 0
        self._queue: deque[tuple[Request, _Running | None, int]] = deque()
        self._waiting: dict[int, _Awaited] = {}
        self._in_flight = 0
        self._files_allowed = FILES_OPEN
        self._handles = OpenHandles()
        self.broken: SshError | None = None
        self._packets.send(wire.hello())
        self.extensions = wire.parse_version(self._packets.wait())
        if wire.LIMITS in self.extensions:
            # Answered along with the first requests: asking costs no round trip.
            self._begin(_Running(_ask_limits(), self._allow_files))

    def run(
        self, tasks: Sequence[Task[ResultT]], *, files_open: int | None = None
    ) -> list[ResultT | SshError]:
        """Each task's result or error, in their order; ``files_open``: so many of them may hold a file open at once.

        A session that ends gives its error to every task that is not done.
        """
        results: dict[int, ResultT | SshError] = {}
        if self.broken:
            return [self.broken] * len(tasks)
        self._packets.begin()
        self._handles.begin()
        todo = deque(_Running(task, partial(results.__setitem__, i)) for i, task in enumerate(tasks))
        begun: list[_Running] = []
        try:
            while len(results) < len(tasks):
                while todo and len(begun) - len(results) < self._window(files_open):
                    begun.append(todo.popleft())
                    self._begin(begun[-1])
                self._flush()
                if len(results) < len(tasks):
                    self._receive()
            # Requests without a waiting task.
            self._flush()
        except SshError as failure:
            error = failure
            if isinstance(error, HandleReused):
                error.answered = self._drain()
            self._end(error)
            for lost in (*begun, *todo):
                lost.task.close()
            return [results.get(i, error) for i in range(len(tasks))]
        return [results[i] for i in range(len(tasks))]

    def run_one(self, task: Task[ResultT]) -> ResultT:
        """Raises what went wrong."""
        (result,) = self.run([task])
        if isinstance(result, SshError):
            raise result
        return result

    @property
    def most_open(self) -> int:
        """Return the largest number of open files during the last `run`."""
        return self._handles.most_files

    @property
    def closed(self) -> bool:
        """True if it can be used no more, as far as is known without asking."""
        return self.broken is not None or self._stream.closed

    def close(self) -> None:
        """End the channel, and nothing else of its connection."""
        self._end(self.broken or ConnectionLost(Text("ssh.channel_closed")))
        self._stream.close()

    def _window(self, files_open: int | None) -> int:
        return TASKS_IN_FLIGHT if files_open is None else min(files_open, self._files_allowed)

    def _begin(self, run: _Running) -> None:
        self._advance(run, lambda: next(run.task))

    def _resume(self, run: _Running) -> None:
        error, replies = run.error, run.replies
        if error is None:
            self._advance(run, lambda: run.task.send(replies))
        else:
            self._advance(run, lambda: run.task.throw(error))

    def _advance(self, run: _Running, step: Callable[[], Sequence[Request]]) -> None:
        try:
            requests = step()
            while not self._enqueue(run, requests):
                requests = run.task.send([])
        except StopIteration as stop:
            run.done(stop.value)
        except StatusError as status:
            run.done(status)

    def _enqueue(self, run: _Running, requests: Sequence[Request]) -> bool:
        """False where the task need not wait for any of them."""
        attended = 0
        for request in requests:
            if request.unattended:
                self._queue.append((request, None, 0))
            else:
                self._queue.append((request, run, attended))
                attended += 1
        run.replies, run.missing, run.error = [None] * attended, attended, None
        return attended > 0

    def _flush(self) -> None:
        parts: list[bytes | memoryview] = []
        while self._queue and self._may_send():
            request, run, place = self._queue.popleft()
            self._next_id = (self._next_id + 1) & 0xFFFFFFFF
            self._waiting[self._next_id] = _Awaited(run, place, request)
            if request.kind == wire.CLOSE:
                self._handles.closing(request.handle, self._next_id)
            self._in_flight += request.size
            parts += (request.head(self._next_id), request.data)
        self._packets.send(b"".join(parts))

    def _may_send(self) -> bool:
        room = self._in_flight < BYTES_IN_FLIGHT and len(self._waiting) < REQUESTS_IN_FLIGHT
        return room or not self._waiting

    def _receive(self) -> None:
        """Wait for at least one reply, and hand on all that are there."""
        packet: bytes | None = self._packets.wait()
        while packet is not None:
            request_id, awaited = self._awaited(packet)
            reply = wire.parse_reply(packet[0], packet[5:], self._hide)
            self._note_handle(request_id, awaited.request, packet[0], reply)
            if awaited.run is not None:
                self._take(awaited.run, awaited, reply)
            packet = self._packets.ready()

    def _note_handle(self, request_id: int, request: Request, kind: int, reply: Reply) -> None:
        if request.kind == wire.CLOSE:
            self._handles.closed(request.handle, request_id)
        elif request.kind in (wire.OPEN, wire.OPENDIR):
            if kind == wire.HANDLE and isinstance(reply, bytes):
                self._handles.opened(reply, request_id, folder=request.kind == wire.OPENDIR)
            elif isinstance(reply, StatusError) and request.kind == wire.OPEN:
                reply.open_already = self._handles.files

    def _take(self, run: _Running, awaited: _Awaited, reply: Reply) -> None:
        if isinstance(reply, StatusError) and not awaited.request.optional:
            run.error = run.error or reply
        else:
            run.replies[awaited.place] = reply
        run.missing -= 1
        if not run.missing:
            self._resume(run)

    def _awaited(self, packet: bytes) -> tuple[int, _Awaited]:
        if len(packet) < 5:
            raise ProtocolViolation(Text("ssh.packet_too_short"))
        request_id = int.from_bytes(packet[1:5], "big")
        try:
            awaited = self._waiting.pop(request_id)
        except KeyError:
            raise ProtocolViolation(Text("ssh.reply_unasked")) from None
        self._in_flight -= awaited.request.size
        return request_id, awaited

    def _drain(self) -> bool:
        """Wait until all that was sent is answered, so that nothing of it takes effect later. False if that fails."""
        self._queue.clear()
        try:
            while self._waiting:
                self._awaited(self._packets.wait())
        except SshError:
            return False
        return True

    def _allow_files(self, limit: int | StatusError) -> None:
        if isinstance(limit, int) and limit:
            # Half of what is allowed: another session of the same user may count against it.
            self._files_allowed = max(1, limit // 2)

    def _end(self, error: SshError) -> None:
        self.broken = error
        self._queue.clear()
        self._waiting.clear()


def _ask_limits() -> Task[int]:
    (reply,) = yield [wire.limits()]
    return wire.parse_open_files(reply)
