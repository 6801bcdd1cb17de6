"""Open transports, kept for a while between two runs over the same connection: connecting costs more than working.

Each belongs to one process and one connection, and is lent to one user at a time. One whose connection was configured
anew is never lent again.
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
class _Kept:
    connection_id: UUID
    transport: Transport
    made_for: tuple[object, ...]
    since: float


class Keeper:
    """The kept transports of one process; the oldest go first when there are more than ``at_most``."""

    def __init__(
        self, *, at_most: int, idle_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._at_most = at_most
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: list[_Kept] = []
        self._timer: threading.Timer | None = None
        self._process = os.getpid()

    def take(self, connection_id: UUID, made_for: tuple[object, ...]) -> Transport | None:
        """One that is still usable; those of another configuration are closed."""
        with self._lock:
            self._forget_after_fork()
            mine = [kept for kept in self._kept if kept.connection_id == connection_id]
            usable = [kept for kept in mine if kept.made_for == made_for]
            taken = usable[-1:]
            self._kept = [kept for kept in self._kept if kept not in mine or kept in usable[:-1]]
        _close([kept for kept in mine if kept not in usable])
        for kept in taken:
            if kept.transport.resume():
                return kept.transport
            kept.transport.close()
            return self.take(connection_id, made_for)
        return None

    def keep(self, connection_id: UUID, transport: Transport, made_for: tuple[object, ...]) -> None:
        with self._lock:
            self._forget_after_fork()
            self._kept.append(_Kept(connection_id, transport, made_for, self._clock()))
            surplus = self._kept[: max(0, len(self._kept) - self._at_most)]
            self._kept = self._kept[len(surplus) :]
            self._watch()
        _close(surplus)

    def drop(self, connection_id: UUID | None = None) -> None:
        """Close those of a connection, or all."""
        with self._lock:
            dropped = [kept for kept in self._kept if connection_id in (None, kept.connection_id)]
            self._kept = [kept for kept in self._kept if kept not in dropped]
        _close(dropped)

    def close_idle(self) -> None:
        with self._lock:
            before = self._clock() - self._idle_seconds
            idle = [kept for kept in self._kept if kept.since <= before]
            self._kept = [kept for kept in self._kept if kept not in idle]
            self._timer = None
            self._watch()
        _close(idle)

    def _watch(self) -> None:
        if self._kept and self._timer is None:
            wait = max(0.05, self._kept[0].since + self._idle_seconds - self._clock())
            self._timer = threading.Timer(wait, self.close_idle)
            self._timer.daemon = True
            self._timer.start()

    def _forget_after_fork(self) -> None:
        # A child shares its parent's sockets, which only the parent may use.
        if self._process != os.getpid():
            self._process, self._kept, self._timer = os.getpid(), [], None


keeper = Keeper(at_most=settings.SESSIONS_KEPT, idle_seconds=settings.SESSION_IDLE_SECONDS)
atexit.register(keeper.drop)


@contextmanager
def session(connection_id: UUID, dropzone: Dropzone) -> Iterator[Transport]:
    """A transport for one run: a kept one, or a new one that is not connected yet. `Transport.open` it first."""
    allowed = (*settings.DROPZONE_ROOTS, *settings.SFTP_ALLOWED_HOSTS, settings.SFTP_ALLOW_LOOPBACK)
    made_for = (dropzone.transport, dropzone.options, dropzone.org_slug, *allowed)
    transport = keeper.take(connection_id, (*made_for, dropzone.limits)) or open_transport(dropzone)
    try:
        yield transport
    except BaseException:
        # Whatever state it is in, the next run shall not meet it.
        transport.close()
        raise
    if transport.resume():
        # The limits found in this run are in the row before the session is taken again.
        keeper.keep(connection_id, transport, (*made_for, transport.limits()))
    else:
        transport.close()


def _close(kept: list[_Kept]) -> None:
    for one in kept:
        one.transport.close()
