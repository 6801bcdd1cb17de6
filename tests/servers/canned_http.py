"""An HTTP server on loopback that gives the same answer to each request."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextmanager
def canned_answers(
    status: int,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    cut: bool = False,
    endless_head: bool = False,
) -> Iterator[str]:
    """Yield the server's URL. ``cut``: the connection ends after half of the body.

    ``endless_head``: the head of the answer arrives byte by byte, without an end. A request that expects an interim
    reply is refused.
    """
    stopped = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            if self.headers.get("Expect"):
                self.send_error(417)
                return
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if endless_head:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Endless: ")
                with suppress(OSError):  # the client has gone
                    while not stopped.wait(0.1):
                        self.wfile.write(b"x")
                return
            self.send_response_only(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if cut else body)
            self.close_connection = True

        do_GET = do_PUT = do_HEAD = do_DELETE = answer  # noqa: N815  # the names that http.server looks for

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()
