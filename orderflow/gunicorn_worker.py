"""gunicorn's threaded worker, changed so that slow clients do not occupy the threads that run the application.

gunicorn's own worker does not limit how long a client may take to send headers or body, or to take the answer: as many
slow clients as it has threads stop it. Here, threads that only read and write (`threads`) serve the clients, within
time limits. A few others (`answering_threads`), each with a database connection, run the application on requests that
have arrived completely. The heartbeat of a threaded worker says nothing about its threads, so a request that runs
longer than gunicorn's `timeout` ends its worker.

The process that starts the workers imports this module once, as it does `gunicorn_conf`: import nothing of ours here
but `client_io`, which imports nothing of ours either.
"""

import errno
import json
import os
import selectors
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from tempfile import SpooledTemporaryFile
from types import SimpleNamespace
from typing import Any

from gunicorn import util
from gunicorn.http.body import LengthReader
from gunicorn.http.errors import NoMoreData
from gunicorn.workers.gthread import TConn, ThreadWorker

from orderflow.client_io import IN_MEMORY, KIB, PIECE, ClientSocket, Limit, ResponseBuffer, TooSlow

# As DATA_UPLOAD_MAX_MEMORY_SIZE: the application refuses a larger body without reading it.
LARGEST_BODY = 12 * KIB**2
# Bodies above IN_MEMORY that one process receives at a time; further ones get 503.
LARGE_BODIES = 8
_ERROR = (
    "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{more}\r\n"
)


class Busy(Exception):
    """Too many large bodies are being received."""


class Connection(TConn):  # type: ignore[misc]  # gunicorn has no types
    def close(self, graceful: bool = False) -> None:
        """Close at once. gunicorn would wait up to two seconds for the client, in the thread that accepts others."""
        util.close(self.sock)


@dataclass(frozen=True, slots=True)
class Running:
    """A request that the application is working on: since when (monotonic seconds), and its method and path."""

    since: float
    what: str


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's threaded worker with the changes that the module describes."""

    alive: bool
    head = Limit("headers", first=10, rate=500, most=20)
    body = Limit("body", first=10, rate=1 * KIB, most=60)
    piece_seconds = 20.0
    closing_seconds = 2.0
    answering_threads = 4

    def init_process(self) -> None:
        self.answering = ThreadPoolExecutor(self.answering_threads, thread_name_prefix="answering")
        self.running: dict[int, Running] = {}
        self.large_bodies = threading.BoundedSemaphore(LARGE_BODIES)
        super().init_process()

    def run(self) -> None:
        super().run()
        if self.nr_conns:
            # Python would wait for their threads, and the arbiter for the process.
            os._exit(0)

    def accept(self, listener: Any) -> None:
        """Accept a client; no thread is used before its first bytes arrive."""
        try:
            accepted, address = listener.accept()
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK):
                raise
            return
        conn = Connection(self.cfg, ClientSocket(accepted), address, listener.getsockname())
        conn.timeout = time.monotonic() + self.head.first
        self.nr_conns += 1
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def handle(self, conn: Connection) -> Any:
        """Serve one request, in a thread that only reads and writes."""
        conn.sock.allow(self.head)
        keep = super().handle(conn)
        conn.sock.allow(None)
        if not keep:
            util.close_graceful(conn.sock, timeout=self.closing_seconds)
        return keep

    def handle_request(self, req: Any, conn: Connection) -> bool:
        with ExitStack() as places:
            self._receive(req, conn.sock, places)
            answer = ResponseBuffer()
            target = SimpleNamespace(sock=answer, client=conn.client, server=conn.server)
            # A new context for each request, so that none inherits variables of an earlier one in its thread.
            made = self.answering.submit(copy_context().run, self._answer, req, target)
            sent = answer.send_to(conn.sock, self.piece_seconds)
            return bool(made.result()) and sent

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        if not isinstance(exc, TooSlow | Busy):
            super().handle_error(req, client, addr, exc)
            return
        ip = addr[0] if addr else ""
        if isinstance(exc, TooSlow):
            self.log.warning("Request from ip=%s ended: its %s came too slowly", ip, exc)
            answer = _error(
                req, "408 Request Timeout", "TIMEOUT", "The request came too slowly. Send it again."
            )
        else:
            self.log.warning("Request from ip=%s refused: too many large bodies at once", ip)
            answer = _error(
                req, "503 Service Unavailable", "UNAVAILABLE", "Send the request again in a few seconds."
            )
        with suppress(OSError):
            client.settimeout(1)
            client.sendall(answer)

    def notify(self) -> None:
        """Tell the arbiter that this worker is alive; end it if one of its requests hangs."""
        super().notify()
        for thread, running in list(self.running.items()):
            if self.alive and time.monotonic() - running.since > self.cfg.timeout:
                frame = sys._current_frames().get(thread)  # noqa: SLF001  # documented, for this purpose
                where = "".join(traceback.format_stack(frame)[-20:])
                self.log.critical(
                    "Ending the worker: %s runs for over %s s\n%s", running.what, self.cfg.timeout, where
                )
                self.alive = False

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        # gunicorn sets a time limit of its own for what is left of the body.
        conn.sock.allow(None)
        return bool(super()._keepalive_after(conn, keepalive))

    def _receive(self, req: Any, client: ClientSocket, places: ExitStack) -> None:
        """Replace the body by a complete copy; a large one holds a place until ``places`` is closed.

        Raise `TooSlow`, `Busy`, or gunicorn's errors if the body is malformed or breaks off.
        """
        reader = req.body.reader
        length = reader.length if isinstance(reader, LengthReader) else None
        # gunicorn would ask for the body only after it has arrived.
        asks, req._expected_100_continue = req._expected_100_continue, False  # noqa: SLF001
        if length == 0 or (length or 0) > LARGEST_BODY:
            return
        if asks:
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        client.allow(self.body)
        body, left = SpooledTemporaryFile(IN_MEMORY), LARGEST_BODY + 1  # noqa: SIM115  # the application reads it
        while left and (data := req.body.read(min(PIECE, left))):
            if body.tell() <= IN_MEMORY < body.tell() + len(data):
                self._take_place(places)
            body.write(data)
            left -= len(data)
        if length is not None and body.tell() < length:
            raise NoMoreData
        if not left:
            req.force_close()  # the rest stays unread
        body.seek(0)
        req.body = body

    def _take_place(self, places: ExitStack) -> None:
        if not self.large_bodies.acquire(blocking=False):
            raise Busy
        places.callback(self.large_bodies.release)

    def _answer(self, req: Any, target: Any) -> bool:
        thread = threading.get_ident()
        self.running[thread] = Running(time.monotonic(), f"{req.method} {req.path}")
        try:
            return bool(super().handle_request(req, target))
        finally:
            del self.running[thread]
            target.sock.close()


def _error(req: Any, status: str, code: str, message: str) -> bytes:
    """Return a complete HTTP answer: the API's error format for its paths, else text."""
    kind, body = "text/plain", message
    if req is not None and req.path.startswith("/api/"):
        kind = "application/json"
        body = json.dumps(
            {"error": {"code": code, "message": message, "reason": None, "details": {}, "request_id": ""}}
        )
    more = "Retry-After: 5\r\n" if status.startswith("503") else ""
    head = _ERROR.format(status=status, kind=kind, length=len(body), more=more)
    return f"{head}{body}".encode()
