"""Connection pools for botocore clients that open their TCP connections with a given function.

The archive and the `s3` transport check each address before they connect to it, also after a redirect.
"""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

DEFAULT_SECONDS = 10.0
# Host, port and seconds to wait; raises the OSErrors of `socket.create_connection`.
Connect = Callable[[str, int, float], socket.socket]


def restrict(client: Any, connect: Connect, *, answer_seconds: float | None = None) -> None:
    """Let a botocore client open its connections with ``connect`` only.

    ``answer_seconds``: the time for the head of an answer as a whole. The client's own read timeout counts anew for
    each part that arrives.

    All of its requests use this one session, also after a redirect. botocore looks up credentials with other sessions,
    so an instance's role still works.
    """
    pools = _pools(connect, answer_seconds)
    session = client._endpoint.http_session  # noqa: SLF001  # botocore has no public way to choose connections
    session._pool_classes_by_scheme = session._manager.pool_classes_by_scheme = pools  # noqa: SLF001


def _pools(connect: Connect, answer_seconds: float | None) -> dict[str, type[Any]]:
    class Checked:
        """Mixin for urllib3's connections."""

        def _new_conn(self: Any) -> socket.socket:
            seconds = self.timeout if isinstance(self.timeout, int | float) else DEFAULT_SECONDS
            try:
                return connect(self._dns_host, self.port, seconds)
            except socket.gaierror as error:
                raise NameResolutionError(self.host, self, error) from error
            except TimeoutError as error:
                raise ConnectTimeoutError(self, str(error)) from error
            except OSError as error:
                raise NewConnectionError(self, str(error)) from error

        def getresponse(self: Any) -> Any:
            if answer_seconds is None:
                return super().getresponse()  # type: ignore[misc]
            late = threading.Event()
            timer = threading.Timer(answer_seconds, _cut, (self.sock, late))
            timer.daemon = True
            timer.start()
            try:
                return super().getresponse()  # type: ignore[misc]
            finally:
                timer.cancel()
                if late.is_set():  # a head that was cut counts as complete
                    raise TimeoutError("the head of the answer did not come in time")

    class HTTPConnection(Checked, AWSHTTPConnection):  # type: ignore[misc]  # botocore has no types
        pass

    class HTTPSConnection(Checked, AWSHTTPSConnection):  # type: ignore[misc]
        pass

    class HTTPPool(AWSHTTPConnectionPool):  # type: ignore[misc]
        ConnectionCls = HTTPConnection

    class HTTPSPool(AWSHTTPSConnectionPool):  # type: ignore[misc]
        ConnectionCls = HTTPSConnection

    return {"http": HTTPPool, "https": HTTPSPool}


def _cut(sock: socket.socket, late: threading.Event) -> None:
    """End the wait of the thread that reads from the socket."""
    late.set()
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
