"""A botocore client for one dropzone: checked addresses, bounded answers, no settings of the environment's accounts."""

import re
import socket
import threading
import time
from collections.abc import Callable
from functools import cache
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from botocore.handlers import add_expect_header
from urllib3.exceptions import HTTPError
from urllib3.exceptions import ReadTimeoutError as SocketReadTimeout

from erp_connectors import faults, s3_connections
from erp_connectors.address_policy import is_public
from erp_connectors.faults import Fault
from erp_connectors.sftp.errors import ConnectionRefused, ConnectTimeout, NameNotFound, SshError
from erp_connectors.sftp.tcp import connect_tcp
from erp_connectors.transports.allowed_hosts import AllowedHosts, plain_name
from erp_connectors.transports.base import TransportPolicy
from erp_connectors.transports.s3.options import S3Options
from orderflow.messages import Message

# Requests of one batch that are in flight together.
AT_ONCE = 64
# A page of 1,000 long names is under 4 MB.
MAX_ANSWER, CHUNK = 16_000_000, 65_536
_HTML = re.compile(rb"\s*(<!--.*?-->\s*)*<(!doctype\s+)?html", re.IGNORECASE | re.DOTALL)
_KINDS = {
    NameNotFound: faults.NAME_NOT_FOUND,
    ConnectTimeout: faults.CONNECTION_TIMEOUT,
    ConnectionRefused: faults.CONNECTION_REFUSED,
}
_making = threading.Lock()


def make_client(options: S3Options, policy: TransportPolicy) -> Any:
    """Return a client that has not connected yet."""
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": options.addressing_style},
        # Many S3-compatible servers refuse the checksums that botocore sends by default.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        connect_timeout=options.connect_timeout,
        read_timeout=options.io_timeout,
        max_pool_connections=AT_ONCE,
        retries={"total_max_attempts": 2, "mode": "standard"},
        proxies={},
        parameter_validation=True,
    )
    with _making:  # botocore's sessions are not thread-safe, its clients are
        client = session().create_client(
            "s3",
            region_name=options.region,
            endpoint_url=options.endpoint_url,
            aws_access_key_id=options.access_key_id,
            aws_secret_access_key=options.secret_access_key,
            config=config,
        )
    # Its reader of interim replies has no end if a server closes the connection in the middle of one.
    client.meta.events.unregister("before-call.s3", add_expect_header)
    s3_connections.restrict(
        client,
        lambda host, port, seconds: connect(options, policy, host, port, seconds),
        answer_seconds=options.io_timeout,
    )
    endpoint = client._endpoint  # noqa: SLF001  # botocore has no public way to bound an answer
    endpoint.http_session = BoundedSession(endpoint.http_session, seconds=options.io_timeout)
    return client


@cache
def session() -> Any:
    """Return botocore's session, with the description of S3 loaded."""
    made = botocore.session.Session()
    made.get_service_model("s3")
    return made


def connect(
    options: S3Options, policy: TransportPolicy, host: str, port: int, seconds: float
) -> socket.socket:
    """Return a connection to the endpoint or to its bucket's host name. Raises `Fault`.

    A redirect to another host is refused: orders are only sent to the host that the user entered.
    """
    allowed = AllowedHosts(options.host, policy)
    allowed.name()

    def allow(address: IPv4Address | IPv6Address) -> None:
        allowed.require_address(address)
        if not options.encrypted and is_public(address, nat64=policy.nat64_prefixes):
            raise Fault(faults.HOST_NOT_ALLOWED, Message("host.needs_https", host=host, address=str(address)))

    if not _is_within(host, options.host):
        raise Fault(faults.WRONG_REGION, Message("s3.redirected", host=host))
    try:
        return connect_tcp(host, port, timeout=min(seconds, options.connect_timeout), allow=allow)
    except SshError as error:
        kind = next(kind for type_, kind in _KINDS.items() if isinstance(error, type_))
        raise Fault(kind, Message("s3.address", address=f"{host}:{port}")) from None


def _is_within(host: str, endpoint: str) -> bool:
    """Return True for the endpoint's host and for bucket names before it."""
    try:
        named, wanted = plain_name(host.strip("[]")), plain_name(endpoint)
    except ValueError:
        return False
    return named == wanted or named.endswith(f".{wanted}")


class BoundedSession:
    """A botocore HTTP session that limits the size of an answer and the time to read it."""

    def __init__(self, inner: Any, *, seconds: float) -> None:
        self._inner, self._seconds = inner, seconds

    def send(self, request: Any) -> Any:
        wanted, request.stream_output = request.stream_output, True
        response = self._inner.send(request)
        request.stream_output = wanted
        if not wanted:
            body = read_bounded(response.raw, most=MAX_ANSWER, seconds=self._seconds)
            _require_s3(response.status_code, body)
            _require_whole(request.method, response.headers, body)
            response._content = body  # noqa: SLF001  # as reading it would have done
        return response

    def close(self) -> None:
        self._inner.close()


def _require_s3(status: int, body: bytes) -> None:
    """Raise `Fault` NOT_S3 if no S3 service answers like this. A proxy's 5xx page counts as overload."""
    if status < 500 and body and (not body.lstrip().startswith(b"<") or _HTML.match(body)):
        raise Fault(faults.NOT_S3)


def _require_whole(method: str, headers: Any, body: bytes) -> None:
    length = str(headers.get("Content-Length", ""))
    if method != "HEAD" and length.isdecimal() and int(length) > len(body):
        raise ConnectionClosedError(endpoint_url="")


def read_bounded(
    raw: Any, *, most: int, seconds: float, clock: Callable[[], float] = time.monotonic
) -> bytes:
    """Read a body of at most ``most`` bytes; Fault TOO_LARGE above. Raises botocore's errors of a broken connection."""
    ends, parts, size = clock() + seconds, list[bytes](), 0
    try:
        while part := raw.read1(CHUNK):
            parts.append(part)
            size += len(part)
            if size > most:
                raw.close()
                raise Fault(faults.TOO_LARGE, Message("file.too_large", most=most))
            if clock() > ends:
                raw.close()
                raise ReadTimeoutError(endpoint_url="")
    except SocketReadTimeout as error:
        raise ReadTimeoutError(endpoint_url="", error=error) from None
    except (HTTPError, OSError) as error:
        raise ConnectionClosedError(endpoint_url="", error=error) from None
    raw.release_conn()
    return b"".join(parts)
