"""Keep transports open for a while between two runs over a connection: to connect takes longer than the work.

Each belongs to one process and one connection, and is used by one run at a time. It is closed if its connection is
reconfigured.
"""

import atexit
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings

from erp_connectors.common_fields import Dropzone
from erp_connectors.registry import open_transport
from erp_connectors.transports.base import Transport


@dataclass(frozen=True, slots=True, eq=False)
class _Idle:
    connection_id: UUID
    transport: Transport
    made_for: tuple[object, ...]
    since: float


class SessionPool:
    """The idle transports of one process; the oldest are closed if there are more than ``at_most``.

    ``made_for``: what a transport was configured with; it is only used again for an equal value.
    """

    def __init__(
        self, *, at_most: int, idle_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._at_most = at_most
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._idle: list[_Idle] = []
        self._timer: threading.Timer | None = None
        self._process = os.getpid()

    def take(self, connection_id: UUID, made_for: tuple[object, ...]) -> Transport | None:
        """Return a transport that is still usable; close those of another configuration."""
        with self._lock:
            self._forget_after_fork()
            mine = [one for one in self._idle if one.connection_id == connection_id]
            usable = [one for one in mine if one.made_for == made_for]
            taken = usable[-1:]
            self._idle = [one for one in self._idle if one not in mine or one in usable[:-1]]
        _close([one for one in mine if one not in usable])
        for one in taken:
            if one.transport.resume():
                return one.transport
            one.transport.close()
            return self.take(connection_id, made_for)
        return None

    def put_back(self, connection_id: UUID, transport: Transport, made_for: tuple[object, ...]) -> None:
        with self._lock:
            self._forget_after_fork()
            self._idle.append(_Idle(connection_id, transport, made_for, self._clock()))
            surplus = self._idle[: max(0, len(self._idle) - self._at_most)]
            self._idle = self._idle[len(surplus) :]
            self._start_timer()
        _close(surplus)

    def close(self, connection_id: UUID | None = None) -> None:
        """Close the idle transports of a connection, or all."""
        with self._lock:
            closed = [one for one in self._idle if connection_id in (None, one.connection_id)]
            self._idle = [one for one in self._idle if one not in closed]
        _close(closed)

    def close_idle(self) -> None:
        """Close the transports that have been idle for too long."""
        with self._lock:
            before = self._clock() - self._idle_seconds
            expired = [one for one in self._idle if one.since <= before]
            self._idle = [one for one in self._idle if one not in expired]
            self._timer = None
            self._start_timer()
        _close(expired)

    def _start_timer(self) -> None:
        if self._idle and self._timer is None:
            wait = max(0.05, self._idle[0].since + self._idle_seconds - self._clock())
            self._timer = threading.Timer(wait, self.close_idle)
            self._timer.daemon = True
            self._timer.start()

    def _forget_after_fork(self) -> None:
        # A child shares its parent's sockets, which only the parent may use.
        if self._process != os.getpid():
            self._process, self._idle, self._timer = os.getpid(), [], None


session_pool = SessionPool(at_most=settings.SESSIONS_KEPT, idle_seconds=settings.SESSION_IDLE_SECONDS)
atexit.register(session_pool.close)


@contextmanager
def session(connection_id: UUID, dropzone: Dropzone) -> Iterator[Transport]:
    """Lend a transport for one run: an idle one, or a new one that is not connected yet. `Transport.open` it first."""
    allowed = (*settings.DROPZONE_ROOTS, *settings.SFTP_ALLOWED_HOSTS, settings.SFTP_ALLOW_LOOPBACK)
    made_for = (dropzone.transport, dropzone.options, dropzone.org_slug, *allowed)
    transport = session_pool.take(connection_id, (*made_for, dropzone.limits)) or open_transport(dropzone)
    try:
        yield transport
    except BaseException:
        # Its state is unknown, so no other run may use it.
        transport.close()
        raise
    if transport.resume():
        # The limits found in this run are in the row before the session is taken again.
        session_pool.put_back(connection_id, transport, (*made_for, transport.limits()))
    else:
        transport.close()


def _close(idle: list[_Idle]) -> None:
    for one in idle:
        one.transport.close()
