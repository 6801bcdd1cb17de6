"""Names for every place where a worker can be killed: what `crashpoints` names, and what lies between those.

`install` wraps, in this process only, whatever changes something outside of it: each call of a transport, each commit,
each copy that goes into the archive; and it cuts some of them in half. Points that are passed again are numbered:
``claimed``, ``claimed-2``.
"""

import http.client
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import wraps
from typing import Any, Self

import paramiko
from django.core.files.base import ContentFile
from django.core.files.storage import Storage
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.module_loading import import_string

from erp_connectors import crashpoints, leases
from erp_connectors.faults import CONNECTION_LOST, Fault
from erp_connectors.registry import TRANSPORTS
from erp_connectors.transports.base import Transport
from erp_connectors.transports.s3.client import BoundedSession

CALLS = ("open", "stage", "publish", "exists", "list", "read", "move", "remove", "make_folder", "close")
CUT = ("stage", "publish", "move", "remove")
# SFTP's packet types for what a call is about (a write, a rename in two ways), not what it looks up before.
TELLING = {
    "stage": (b"\x06",),
    "publish": (b"\x12", b"\xc8"),
    "move": (b"\x12", b"\xc8"),
    "remove": (b"\x0d",),
}


class Points:
    """Acts where the plan says so, and remembers every point that was passed."""

    def __init__(self, plan: Mapping[str, str]) -> None:
        self._plan = plan
        self._times: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.renewing = threading.Lock()
        self.passed: list[str] = []
        self.within = ""

    def pass_by(self, name: str) -> None:
        with self._lock:
            self._times[name] += 1
            label = name if self._times[name] == 1 else f"{name}-{self._times[name]}"
            self.passed.append(label)
        if label in self._plan:
            # Frozen in the middle of a renewal, it would hold SQLite's one lock, and nobody could take over.
            alone = connection.vendor == "sqlite" and self._plan[label] == "SIGSTOP"
            with self.renewing if alone else nullcontext():
                # To this very thread: it must not take another step before the signal arrives.
                signal.pthread_kill(threading.get_ident(), getattr(signal, self._plan[label]))

    @contextmanager
    def call(self, name: str) -> Iterator[None]:
        self.pass_by(f"before-{name}")
        self.within = name
        try:
            yield
        finally:
            self.within = ""
        self.pass_by(f"after-{name}")


def install(points: Points, *, lose: Mapping[str, str]) -> None:
    """``lose``: calls of a transport whose link dies ``before`` they reach the server, or ``after``."""
    crashpoints.listener = points.pass_by
    for path in TRANSPORTS.values():
        _wrap_transport(import_string(path), points, lose)
    _wrap_commit(points)
    _wrap_lease(points)
    _wrap_archive(points)
    _cut_channel(points)
    _cut_files(points)
    _cut_signed_puts(points)


def _wrap_transport(transport: type[Transport], points: Points, lose: Mapping[str, str]) -> None:
    for name in CALLS:
        setattr(transport, name, _wrapped(getattr(transport, name), name, points, lose.get(name, "")))


def _wrapped(original: Callable[..., Any], name: str, points: Points, lost: str) -> Callable[..., Any]:
    @wraps(original)
    def call(self: Transport, *args: Any, **options: Any) -> Any:
        if args and not args[0]:
            return original(self, *args, **options)  # nothing asked, nothing sent
        gone = Fault(CONNECTION_LOST)
        if lost == "before":
            return [gone] * len(args[0])
        with points.call(name):
            answers = original(self, *args, **options)
        return [gone] * len(args[0]) if lost else answers

    return call


def _wrap_commit(points: Points) -> None:
    original = BaseDatabaseWrapper._commit  # type: ignore[attr-defined]

    def commit(self: BaseDatabaseWrapper) -> Any:
        if threading.current_thread() is threading.main_thread():
            points.pass_by("before-commit")
        return original(self)

    BaseDatabaseWrapper._commit = commit  # type: ignore[attr-defined]


def _wrap_lease(points: Points) -> None:
    original, renew_original = leases.release, leases.renew

    def release(lease: leases.Lease) -> None:
        points.pass_by("before-release")
        original(lease)

    def renew(lease: leases.Lease) -> None:
        in_background = threading.current_thread() is not threading.main_thread()
        with points.renewing if in_background else nullcontext():
            renew_original(lease)

    leases.release, leases.renew = release, renew


def _wrap_archive(points: Points) -> None:
    original = Storage.save

    def save(self: Storage, name: str, content: Any, **options: Any) -> Any:
        points.pass_by("before-archiving")
        return original(self, name, _HalfByHalf(content.read(), points), **options)

    Storage.save = save  # type: ignore[assignment, method-assign]


class _HalfByHalf(ContentFile):  # type: ignore[type-arg]
    def __init__(self, data: bytes, points: Points) -> None:
        super().__init__(data)
        self._data = data
        self._points = points

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        half = len(self._data) // 2
        yield self._data[:half]
        self._points.pass_by("archived-half")
        yield self._data[half:]


def _cut_channel(points: Points) -> None:
    """What an SFTP call sends leaves in two halves, cut in the middle of a packet, with a point between them."""
    original = paramiko.Channel.send
    rest: list[bool] = []

    def send(self: paramiko.Channel, data: bytes) -> int:
        half = len(data) // 2
        if points.within not in CUT or not half or rest:
            rest.clear()
            return original(self, data)
        sent = original(self, data[:half])
        rest.append(True)
        points.pass_by(f"{points.within}-half-sent")
        if data[4:5] in TELLING.get(points.within, ()):
            points.pass_by(f"{points.within}-itself-half-sent")
        return sent

    paramiko.Channel.send = send  # type: ignore[assignment, method-assign]


def _cut_signed_puts(points: Points) -> None:
    """In a bucket: a point before the request that publishes, in the middle of its body, and after its answer."""
    exchange, send_bytes = BoundedSession.send, http.client.HTTPConnection.send

    def send(self: BoundedSession, request: Any) -> Any:
        if points.within != "publish" or "X-Amz-Signature=" not in request.url:
            return exchange(self, request)
        points.pass_by("publish-signed")
        answer = exchange(self, request)
        points.pass_by("publish-answered")
        return answer

    def send_half(self: Any, data: Any) -> None:
        body, self.is_signed_put = (
            getattr(self, "is_signed_put", False),
            b"X-Amz-Signature=" in bytes(data)[:4096],
        )
        if not body:
            send_bytes(self, data)
            return
        send_bytes(self, data[: len(data) // 2])
        points.pass_by("publish-half-sent")
        send_bytes(self, data[len(data) // 2 :])

    BoundedSession.send = send  # type: ignore[method-assign]
    http.client.HTTPConnection.send = send_half  # type: ignore[method-assign]


def _cut_files(points: Points) -> None:
    """In a folder: a point in the middle of each file, and one before each name changes or goes."""
    open_file = os.fdopen

    def fdopen(fd: int, mode: str = "r", *args: Any, **options: Any) -> Any:
        file = open_file(fd, mode, *args, **options)
        return _HalfWritten(file, points) if points.within == "stage" and "w" in mode else file

    os.fdopen = fdopen
    for name in ("rename", "link", "unlink"):
        setattr(os, name, _announced(getattr(os, name), name, points))


def _announced(original: Callable[..., Any], name: str, points: Points) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        if points.within in CUT:
            points.pass_by(f"{points.within}-{name}")
        return original(*args, **options)

    return call


class _HalfWritten:
    def __init__(self, file: Any, points: Points) -> None:
        self._file = file
        self._points = points

    def write(self, data: bytes) -> int:
        half = len(data) // 2
        self._file.write(data[:half])
        self._file.flush()
        self._points.pass_by("stage-half-written")
        return half + int(self._file.write(data[half:]))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Self:
        self._file.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._file.__exit__(*error)
