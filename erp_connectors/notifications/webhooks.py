"""Send one signed POST to a checked address, with a deadline and without redirects."""

import http.client
import socket
import ssl
import threading
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from erp_connectors.address_policy import Address, is_public, refusal
from erp_connectors.outbox.delivery_errors import NotDelivered
from erp_connectors.sftp.errors import ConnectionRefused, ConnectTimeout, NameNotFound
from erp_connectors.sftp.tcp import connect_tcp

CONNECT_SECONDS, SECONDS_IN_ALL = 5.0, 15.0
AGENT = "OrderFlow-Webhook/1"


def post(url: str, body: bytes, headers: dict[str, str]) -> int:
    """Send it; return the status, 200 to 299, without reading the body. Raises `NotDelivered`."""
    parts = urlsplit(url)
    require_allowed_scheme(parts)
    link = Link(parts)
    cut_off = threading.Event()

    def cut() -> None:
        cut_off.set()
        link.cut()

    timer = threading.Timer(SECONDS_IN_ALL, cut)
    timer.start()
    try:
        status = _status(link, parts, body, headers)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotDelivered("NO_ANSWER") if cut_off.is_set() else _reason(error) from None
    finally:
        timer.cancel()
        link.close()
    if cut_off.is_set():
        # What was cut off in its headers reads like an answer.
        raise NotDelivered("NO_ANSWER")
    _require_accepted(status)
    return status


class Link(http.client.HTTPConnection):
    """Connect to an address that was looked up once and checked, without a proxy."""

    def __init__(self, parts: SplitResult) -> None:
        self.encrypted = parts.scheme == "https"
        self.default_port = 443 if self.encrypted else 80
        # Without a port it would look for one in an IPv6 address.
        super().__init__(parts.hostname or "", parts.port or self.default_port, timeout=SECONDS_IN_ALL)

    def connect(self) -> None:
        def allow(address: Address) -> None:
            require_allowed_address(self.host, address)

        try:
            self.sock = connect_tcp(self.host, self.port, timeout=CONNECT_SECONDS, allow=allow)
        except NameNotFound:
            raise NotDelivered("NAME_NOT_FOUND", self.host) from None
        except (ConnectionRefused, ConnectTimeout):
            raise NotDelivered("NOT_REACHED", f"{self.host}:{self.port}") from None
        self.sock.settimeout(SECONDS_IN_ALL)
        if self.encrypted:
            context = ssl.create_default_context(cafile=settings.WEBHOOK_CA_FILE or None)
            wrapped = context.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
            self.sock = wrapped
            wrapped.do_handshake()

    def cut(self) -> None:
        """A receiver that sends a byte now and then is cut off by the clock."""
        if self.sock is not None:
            with suppress(OSError):
                # Not the TLS socket's own, which another thread may be reading from.
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


def _status(link: Link, parts: SplitResult, body: bytes, headers: dict[str, str]) -> int:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    common = {"Content-Type": "application/json", "User-Agent": AGENT, "Connection": "close"}
    link.request("POST", target, body=body, headers=common | headers)
    return link.getresponse().status


def _reason(error: Exception) -> NotDelivered:
    if isinstance(error, ssl.SSLCertVerificationError):
        return NotDelivered("CERTIFICATE", error.verify_message)
    if isinstance(error, TimeoutError):
        return NotDelivered("NO_ANSWER")
    if isinstance(error, ConnectionError):
        return NotDelivered("NOT_REACHED", type(error).__name__)
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
        return NotDelivered("NOT_REACHED", error.strerror or type(error).__name__)
    return NotDelivered("NOT_HTTP", type(error).__name__)


def require_allowed_scheme(parts: SplitResult) -> None:
    """Raises `NotDelivered`."""
    if parts.scheme != "https" and not (parts.scheme == "http" and settings.WEBHOOK_ALLOW_HTTP):
        raise NotDelivered("NOT_ENCRYPTED")


def _require_accepted(status: int) -> None:
    if 300 <= status < 400:
        raise NotDelivered("REDIRECTED", str(status))
    if status == http.HTTPStatus.GONE:
        raise NotDelivered("GONE", final=True)
    if not 200 <= status < 300:
        raise NotDelivered("ANSWERED", f"HTTP {status}")


def require_allowed_address(host: str, address: Address) -> None:
    """Raises `NotDelivered`; a private address is allowed only under a name of WEBHOOK_PRIVATE_HOSTS."""
    nat64 = settings.NAT64_PREFIXES
    if refusal(address, loopback=True, nat64=nat64):
        raise NotDelivered("PLACE_NEVER", host)
    named = host.lower() in {name.lower() for name in settings.WEBHOOK_PRIVATE_HOSTS}
    if not (named or is_public(address, nat64=nat64)):
        raise NotDelivered("PLACE_FORBIDDEN", host)
