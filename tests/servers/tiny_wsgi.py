"""A WSGI application of a few lines, and the product's gunicorn worker with short limits, for tests of that worker."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from orderflow.gunicorn_worker import Limit, Worker

LARGE = 3 * 1024 * 1024


class Impatient(Worker):
    head = Limit("headers", first=1, rate=500, most=2)
    body = Limit("body", first=1, rate=1024, most=3)
    piece_seconds = 1.0
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
        return _slowly()
    said = b"%d of %s" % (len(body), environ.get("CONTENT_LENGTH", "?").encode())
    start_response("200 OK", [*kind, ("Content-Length", str(len(said)))])
    return [said]


def _slowly() -> Iterable[bytes]:
    for number in range(3):
        yield b"%d\n" % number
        time.sleep(0.5)
