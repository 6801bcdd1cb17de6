"""A small WSGI application, and the product's gunicorn worker with other time limits, for tests of that worker."""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from orderflow.client_io import Limit
from orderflow.gunicorn_worker import Worker

LARGE = 3 * 1024 * 1024
_HOUR = 3600.0


class Impatient(Worker):
    """Ends slow clients after some seconds."""

    head = Limit("headers", first=1, rate=500, most=2)
    body = Limit("body", first=1, rate=1024, most=3)
    piece_seconds = 1.0
    answering_threads = 2


class Patient(Worker):
    """Ends no client while a test runs, however busy the machine is."""

    head = Limit("headers", first=_HOUR, rate=1, most=_HOUR)
    body = Limit("body", first=_HOUR, rate=1, most=_HOUR)
    piece_seconds = closing_seconds = _HOUR
    answering_threads = 2


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path, body = environ["PATH_INFO"], environ["wsgi.input"].read()
    if path == "/hang":
        time.sleep(600)
    kind = [("Content-Type", "text/plain")]
    if path == "/large":
        start_response("200 OK", [*kind, ("Content-Length", str(LARGE))])
        return (b"x" * 1024 for _ in range(LARGE // 1024))
    if path == "/stream":
        start_response("200 OK", kind)
        return _stream(Path(os.environ["GO_ON"]))
    said = b"%d of %s" % (len(body), environ.get("CONTENT_LENGTH", "?").encode())
    start_response("200 OK", [*kind, ("Content-Length", str(len(said)))])
    return [said]


def _stream(go_on: Path) -> Iterable[bytes]:
    """Yield the second line once the test has made the file."""
    yield b"first\n"
    while not go_on.exists():
        time.sleep(0.02)
    yield b"second\n"
