"""Ask an HTTP proxy (CONNECT) or a SOCKS version 5 proxy for a TCP connection to a server.

No library does it: an SSH server sends its greeting at once, so not a byte after the proxy's reply may be read.
python-socks reads up to 64 KiB as the reply of an HTTP proxy, takes a reply in two parts for a whole one, and gives
each part of a SOCKS reply the full timeout. PySocks reads the reply through a buffer, and its last release is of 2019.
"""

import base64
import ipaddress
import re
import socket
import time
from dataclasses import dataclass, field

from erp_connectors.sftp.errors import (
    ConnectionLost,
    ConnectTimeout,
    ForwardingRefused,
    HopConnectFailed,
    NotAProxy,
    ProxyLoginRefused,
    SshError,
)
from erp_connectors.sftp.other_services import first_line
from erp_connectors.sftp.redact import Redact
from erp_connectors.sftp.tcp import PatientSocket, host_and_port
from erp_connectors.sftp.texts import Text, seconds

MAX_HTTP_REPLY = 16_384
MAX_INTERIM_REPLIES = 4
PEEKED = 4_096
_STATUS = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})(?: .*)?")
_HEADER_END = re.compile(rb"\r?\n\r?\n")
# A method of authentication at the start of a value of Proxy-Authenticate, or after a comma; not a parameter.
_LOGIN_METHOD = re.compile(r"(?:^|,\s*)([A-Za-z][A-Za-z0-9-]*)(?=\s+[^=\s,]|\s*,|\s*$)")
# The proxy is overloaded, or did not reach the server.
_TRANSIENT_STATUSES = (408, 429)

SOCKS_VERSION, LOGIN_VERSION = 5, 1
NO_LOGIN, PASSWORD_LOGIN, NO_ACCEPTABLE_LOGIN = 0, 2, 0xFF
CONNECT, IPV4, NAME, IPV6 = 1, 1, 3, 4
_ADDRESS_BYTES = {IPV4: 4, IPV6: 16}
# By the reply's code (RFC 1928, section 6).
_SOCKS_TEXTS = {
    1: "ssh.socks_failure",
    2: "ssh.socks_forbidden",
    3: "ssh.socks_no_network",
    4: "ssh.socks_no_host",
    5: "ssh.socks_refused",
    6: "ssh.socks_expired",
    7: "ssh.socks_no_command",
    8: "ssh.socks_no_address_type",
}
# These do not change by themselves. The others may be different at the next attempt.
_SOCKS_FORBIDS = (2, 7, 8)


@dataclass(frozen=True, slots=True)
class ProxyLogin:
    username: str
    password: str = field(repr=False)

    @property
    def basic(self) -> str:
        """Return the credentials as HTTP sends them. They are encoded, not encrypted."""
        return base64.b64encode(f"{self.username}:{self.password}".encode(errors="replace")).decode()


def connect_by_http(
    sock: PatientSocket, host: str, port: int, *, login: ProxyLogin | None, timeout: float, hide: Redact
) -> None:
    """Turn a connection to an HTTP proxy into one to the server.

    Raises `ProxyLoginRefused`, `ForwardingRefused`, `HopConnectFailed`, `NotAProxy`, `ConnectionLost` and
    `ConnectTimeout`.
    """
    link = _ProxyLink(sock, timeout)
    address = host_and_port(host, port)
    lines = [f"CONNECT {address} HTTP/1.1", f"Host: {address}"]
    lines += [f"Proxy-Authorization: Basic {login.basic}"] if login else []
    link.send(("\r\n".join(lines) + "\r\n\r\n").encode())
    for _ in range(MAX_INTERIM_REPLIES):
        reply = _http_reply(link)
        status = _status(reply)
        if status >= 200:
            break
    if not 200 <= status < 300:
        raise _http_refusal(status, reply, hide)


def _http_reply(link: "_ProxyLink") -> bytes:
    """Return the reply's head, and read nothing behind it: that is the server's."""
    reply = b""
    while True:
        seen = reply + link.peek()
        if not seen.startswith(b"HTTP/"[: len(seen)]):
            raise NotAProxy(Text("ssh.proxy_not_http"))
        if end := _HEADER_END.search(seen, max(0, len(reply) - 3)):
            return reply + link.receive(end.end() - len(reply))
        if len(seen) > MAX_HTTP_REPLY:
            raise NotAProxy(Text("ssh.proxy_reply_too_long"))
        reply += link.receive(len(seen) - len(reply))


def _status(reply: bytes) -> int:
    found = _STATUS.match(reply)
    if not found:
        raise NotAProxy(Text("ssh.proxy_not_http"))
    return int(found[1])


def _http_refusal(status: int, reply: bytes, hide: Redact) -> SshError:
    says = Text("ssh.says", greeting=first_line(reply, hide))
    if status in (401, 407):
        methods = _login_methods(reply)
        if methods and "basic" not in {method.lower() for method in methods}:
            why = Text("ssh.proxy_offers_logins", methods=hide(", ".join(methods)))
            return ProxyLoginRefused(why, says)
        return ProxyLoginRefused(says)
    if status >= 500 or status in _TRANSIENT_STATUSES:
        return HopConnectFailed(says)
    return ForwardingRefused(says)


def _login_methods(reply: bytes) -> list[str]:
    lines = reply.decode("latin-1").splitlines()
    values = [
        line.partition(":")[2].strip() for line in lines if line.lower().startswith("proxy-authenticate:")
    ]
    return list(dict.fromkeys(method for value in values for method in _LOGIN_METHOD.findall(value)))


def connect_by_socks(
    sock: PatientSocket, host: str, port: int, *, login: ProxyLogin | None, timeout: float
) -> None:
    """Turn a connection to a SOCKS version 5 proxy into one to the server. The proxy looks a name up.

    Raises `ProxyLoginRefused`, `ForwardingRefused`, `HopConnectFailed`, `NotAProxy`, `ConnectionLost` and
    `ConnectTimeout`.
    """
    link = _ProxyLink(sock, timeout)
    methods = bytes([NO_LOGIN, PASSWORD_LOGIN] if login else [NO_LOGIN])
    link.send(bytes([SOCKS_VERSION, len(methods)]) + methods)
    version, method = link.receive(2)
    if version != SOCKS_VERSION or method not in (*methods, NO_ACCEPTABLE_LOGIN):
        raise NotAProxy(Text("ssh.proxy_not_socks"))
    if method == NO_ACCEPTABLE_LOGIN:
        raise ProxyLoginRefused(Text("ssh.proxy_no_method" if login else "ssh.proxy_wants_login"))
    if method == PASSWORD_LOGIN and login:
        _log_in_by_socks(link, login)
    link.send(bytes([SOCKS_VERSION, CONNECT, 0]) + _socks_address(host) + port.to_bytes(2))
    _read_socks_reply(link, host_and_port(host, port))


def _log_in_by_socks(link: "_ProxyLink", login: ProxyLogin) -> None:
    fields = [text.encode(errors="replace") for text in (login.username, login.password)]
    link.send(bytes([LOGIN_VERSION]) + b"".join(bytes([len(one)]) + one for one in fields))
    _, status = link.receive(2)
    if status != 0:
        raise ProxyLoginRefused(Text("ssh.proxy_wrong_login"))


def _socks_address(host: str) -> bytes:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.encode("ascii")
        return bytes([NAME, len(name)]) + name
    return bytes([IPV4 if address.version == 4 else IPV6]) + address.packed


def _read_socks_reply(link: "_ProxyLink", address: str) -> None:
    # Some proxies send no more than this if they refuse.
    version, code = link.receive(2)
    if version != SOCKS_VERSION:
        raise NotAProxy(Text("ssh.proxy_not_socks"))
    if code != 0:
        if code not in _SOCKS_TEXTS:
            raise HopConnectFailed(Text("ssh.socks_unknown", address=address, code=code))
        kind = ForwardingRefused if code in _SOCKS_FORBIDS else HopConnectFailed
        raise kind(Text(_SOCKS_TEXTS[code], address=address))
    _, kind_of_address = link.receive(2)
    if kind_of_address == NAME:
        size = link.receive(1)[0]
    elif kind_of_address in _ADDRESS_BYTES:
        size = _ADDRESS_BYTES[kind_of_address]
    else:
        raise NotAProxy(Text("ssh.proxy_not_socks"))
    link.receive(size + 2)


class _ProxyLink:
    """Exact reads from the proxy, with one deadline for all of them."""

    def __init__(self, sock: PatientSocket, timeout: float) -> None:
        self._sock = sock
        self._timeout = timeout
        self._ends = time.monotonic() + timeout
        self._received = False

    def send(self, data: bytes) -> None:
        try:
            self._wait_at_most_until_the_end()
            self._sock.sendall(data)
        except TimeoutError:
            raise self._late() from None
        except OSError:
            raise self._closed() from None

    def receive(self, size: int) -> bytes:
        """Return exactly so many bytes."""
        data = b""
        while len(data) < size:
            data += self._receive(size - len(data))
        return data

    def peek(self) -> bytes:
        """Wait for more of the reply, and return it without reading it."""
        return self._receive(PEEKED, socket.MSG_PEEK)

    def _receive(self, size: int, flags: int = 0) -> bytes:
        try:
            self._wait_at_most_until_the_end()
            part = self._sock.recv(size, flags)
        except TimeoutError:
            raise self._late() from None
        except OSError:
            raise self._closed() from None
        if not part:
            raise self._closed()
        self._received = True
        return part

    def _wait_at_most_until_the_end(self) -> None:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)

    def _late(self) -> ConnectTimeout:
        return ConnectTimeout(Text("ssh.no_proxy_answer_in_time", seconds=seconds(self._timeout)))

    def _closed(self) -> ConnectionLost:
        return ConnectionLost(Text("ssh.proxy_reply_cut_off" if self._received else "ssh.proxy_closed"))
