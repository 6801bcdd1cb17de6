"""The checks between the program and an adapter: of paths, of listed names, and for errors of the adapter.

An adapter that raises anything but `Fault` has a bug. Its connection's orders wait, and all other connections go on.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import wraps
from typing import Any, Protocol, TypeVar

import structlog

from erp_connectors.dropzone_paths import is_absolute
from erp_connectors.faults import INTERNAL_ERROR, Fault, Scope, exception_in
from erp_connectors.port_types import Entry
from orderflow import tracing

MAX_NAME = 1_000
MAX_NAMES_LOGGED = 10
# Adapters override these as they are; `guard` is applied to each when the class is made.
GUARDED = frozenset(
    {
        "at",
        "close",
        "destination",
        "expect",
        "guarantee",
        "limits",
        "extensions",
        "planned_steps",
        "presented_keys",
        "publish_until",
        "remarks",
        "renewed",
        "respect",
        "resume",
        "server_key",
    }
)

log = structlog.get_logger(__name__)

FileT = TypeVar("FileT")
AnswerT = TypeVar("AnswerT")


class Closable(Protocol):
    def close(self) -> None: ...


@contextmanager
def faults_only(adapter: type, call: str, transport: Closable | None = None) -> Iterator[None]:
    """Turn any other exception than `Fault` into INTERNAL_ERROR, and close the transport.

    The state of its session is unknown: a late reply could be taken for the answer to another request.
    """
    try:
        yield
    except Fault:
        raise
    except Exception as error:
        log.exception("transport.internal_error", transport=adapter.__name__, call=call)
        if transport is not None:
            transport.close()
        raise Fault(INTERNAL_ERROR, exception_in(call, error), scope=Scope.CONNECTION) from error


def batch(
    transport: Closable,
    call: str,
    files: Sequence[FileT],
    work: Callable[[Sequence[FileT]], list[AnswerT | Fault]],
) -> list[AnswerT | Fault]:
    """Return the adapter's answers, one for each file; INTERNAL_ERROR for each if it has a bug."""
    if not files:
        return []
    try:
        with (
            tracing.span(f"dropzone {call}", attributes={"files": len(files)}),
            faults_only(type(transport), call, transport),
        ):
            answers = work(files)
            if len(answers) != len(files):
                raise ValueError(f"{len(answers)} answers for {len(files)} files")
            return answers
    except Fault as fault:
        if fault.kind is not INTERNAL_ERROR:
            raise
        return [fault for _ in files]


def plain_names(transport: Closable, entries: Callable[[], Iterable[Entry]]) -> Iterator[Entry]:
    """Yield the entries of a listing whose names a file can have."""
    refused = 0
    with faults_only(type(transport), "list", transport):
        for entry in entries():
            if _is_plain_name(entry.name):
                yield entry
                continue
            refused += 1
            # A server could name a million of them with each poll.
            if refused <= MAX_NAMES_LOGGED:
                log.warning("list.name_refused", name=ascii(entry.name[:255]))
    if refused > MAX_NAMES_LOGGED:
        log.warning("list.names_refused", names=refused)


def guard(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method of an adapter that raises nothing but `Fault`; `close` and `resume` raise nothing at all."""

    @wraps(method)
    def call(self: Closable, *args: Any, **options: Any) -> Any:
        with faults_only(type(self), method.__name__, self):
            return method(self, *args, **options)

    @wraps(method)
    def call_within(self: Closable, *args: Any, **options: Any) -> AbstractContextManager[None]:
        with faults_only(type(self), "at", self):
            return _faults_only_within(self, method(self, *args, **options))

    @wraps(method)
    def call_safely(self: Closable) -> Any:
        # Sessions are closed on behalf of other connections, too.
        try:
            return method(self)
        except Exception:
            log.exception("transport.internal_error", transport=type(self).__name__, call=method.__name__)
            return False

    if method.__name__ == "at":
        return call_within
    return call_safely if method.__name__ in ("close", "resume") else call


@contextmanager
def _faults_only_within(transport: Closable, place: AbstractContextManager[None]) -> Iterator[None]:
    """Enter and leave ``place`` for the caller's block. An exception of the block itself passes unchanged."""
    left = ExitStack()
    with faults_only(type(transport), "at", transport):
        left.enter_context(place)
    try:
        yield
    finally:
        error = sys.exc_info()
        with faults_only(type(transport), "at", transport):
            left.__exit__(*error)


def require_absolute(paths: Iterable[str]) -> None:
    """Raise `ValueError` for a path that no caller may use."""
    for path in paths:
        if not is_absolute(path):
            raise ValueError(f"not an absolute, plain path: {path!r}")


def _is_plain_name(name: str) -> bool:
    return name not in ("", ".", "..") and "/" not in name and "\0" not in name and len(name) <= MAX_NAME
