"""moto's S3 server on loopback, which keeps versions and honours If-None-Match.

moto does not look at the expiry of presigned requests, nor whether a body is complete. ``expiry`` puts the checks of
Amazon's servers in front of it.
"""

import io
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from tests.servers.bucket_path import client_of
from tests.servers.processes import free_port, running, wait_until_listening
from tests.servers.s3 import S3Server

ROOT = Path(__file__).resolve().parents[2]
# While this file exists, the server's clock is ahead by so many seconds.
CLOCK, LATER = "later", 300.0
# Amazon's servers give up a request whose body stops for longer.
IDLE_SECONDS = 20.0


@contextmanager
def moto_server(folder: Path, bucket: str = "exports", *, versions: bool, expiry: bool) -> Iterator[S3Server]:
    """Serve one empty bucket until the block ends; ``folder`` gets the log."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "tests.servers.moto_s3",
        str(port),
        "expiry" if expiry else "-",
        str(folder / CLOCK),
    ]
    with (
        (folder / "moto.log").open("wb") as log,
        running(command, cwd=ROOT, env=os.environ, stdout=log, stderr=log) as process,
    ):
        wait_until_listening(process, port, log=folder / "moto.log")
        server = S3Server(f"http://127.0.0.1:{port}", "AKIATEST", "secret-of-the-test", bucket, folder)
        client = client_of(server)
        client.create_bucket(Bucket=bucket)
        if versions:
            client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        yield server


@contextmanager
def later(server: S3Server) -> Iterator[None]:
    """Let the server's clock be ahead within the block, as after a long wait."""
    clock = server.folder / CLOCK
    clock.touch()
    try:
        yield
    finally:
        clock.unlink()


def check_like_amazon(app: Callable[..., Iterable[bytes]], clock: Path) -> Callable[..., Iterable[bytes]]:
    """Return a WSGI app that refuses a presigned request after its expiry, and a body that is cut off or stops."""

    def now() -> float:
        return time.time() + (LATER if clock.exists() else 0)

    def check(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        arrived = now()
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length) if length else b""
        environ["wsgi.input"] = io.BytesIO(body)
        code = "AccessDenied" if _is_late(environ, arrived) else ""
        if len(body) < length:
            code = "IncompleteBody"
        elif now() - arrived > IDLE_SECONDS:
            code = "RequestTimeout"
        if code:
            start_response("403 Forbidden", [("Content-Type", "application/xml")])
            return [f"<Error><Code>{code}</Code><Message>Refused</Message></Error>".encode()]
        return app(environ, start_response)

    return check


def _is_late(environ: dict[str, Any], arrived: float) -> bool:
    query = {name: values[0] for name, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
    if "X-Amz-Expires" not in query:
        return False
    signed = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    return arrived > signed + int(query["X-Amz-Expires"])


def main(port: str, expiry: str, clock: str) -> None:
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415  # in the server's process only: it patches botocore
        DomainDispatcherApplication,
        create_backend_app,
    )
    from werkzeug.serving import WSGIRequestHandler, make_server  # noqa: PLC0415

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_request(self, *_: Any) -> None:
            pass

    app: Any = DomainDispatcherApplication(create_backend_app)
    # moto's state is a plain dict; requests that overlap would let a conditional write through twice.
    one_at_a_time = threading.Lock()

    def serialised(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with one_at_a_time:
            return list(app(environ, start_response))

    served = check_like_amazon(serialised, Path(clock)) if expiry == "expiry" else serialised
    make_server("127.0.0.1", int(port), served, threaded=True, request_handler=Handler).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
