"""A TCP connection to one of a name's addresses, with deadlines for connecting and for sending."""

import ipaddress
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from erp_connectors.sftp.errors import ConnectionRefused, ConnectTimeout, NameNotFound
from erp_connectors.sftp.texts import Text, seconds

SILENCE_SECONDS = 30
LOOPBACK = ipaddress.ip_address("127.0.0.1")
Allow = Callable[[ipaddress.IPv4Address | ipaddress.IPv6Address], None]


class Patience:
    """Fail to send if the peer takes nothing for ``patience`` seconds; paramiko would try to send for ever."""

    patience: float = SILENCE_SECONDS
    _refused_since: float | None = None

    def _send_patiently(self, send: Callable[[], int]) -> int:
        try:
            sent = send()
        except TimeoutError:
            since = self._refused_since = self._refused_since or time.monotonic()
            if time.monotonic() - since >= self.patience:
                raise BrokenPipeError(f"nothing was taken within {self.patience:g} s") from None
            raise
        self._refused_since = None
        return sent


class PatientSocket(Patience, socket.socket):
    """A socket that fails if the peer takes nothing for a time."""

    def send(self, data: Any, flags: int = 0) -> int:
        return self._send_patiently(partial(super().send, data, flags))


def connect_tcp(host: str, port: int, *, timeout: float, allow: Allow) -> PatientSocket:
    """Look the name up once and connect to one of its addresses. ``allow`` raises for a forbidden one.

    Raises `NameNotFound`, `ConnectionRefused`, `ConnectTimeout`, or what ``allow`` raises.
    """
    found = _look_up(host, port)
    for _, _, _, _, address in found:
        allow(ipaddress.ip_address(str(address[0]).partition("%")[0]))
    failure: Exception = ConnectionRefused(Text("ssh.refused", address=f"{host}:{port}"))
    for family, kind, protocol, _, address in found:
        try:
            sock = _connect(family, kind, protocol, address, timeout)
        except TimeoutError:
            failure = ConnectTimeout(
                Text("ssh.no_connection_in_time", address=f"{host}:{port}", seconds=seconds(timeout))
            )
        except OSError as error:
            why = str(error.strerror or error)
            failure = ConnectionRefused(Text("ssh.refused_with_error", address=f"{host}:{port}", error=why))
        else:
            _require_other_machine(sock, allow)
            return sock
    raise failure


def host_and_port(host: str, port: int) -> str:
    """Return ``host:port``, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _look_up(host: str, port: int) -> "list[tuple[Any, ...]]":
    try:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None)
        raise NameNotFound(
            Text("ssh.name_not_found", host=host, error=why)
            if why
            else Text("ssh.not_a_host_name", host=host)
        ) from None


def _require_other_machine(sock: PatientSocket, allow: Allow) -> None:
    """Treat a connection to an address of this machine as loopback. Raises what ``allow`` raises."""
    try:
        if sock.getsockname()[0] == sock.getpeername()[0]:
            allow(LOOPBACK)
    except OSError:
        # The connection is gone already; the handshake reports it.
        return
    except BaseException:
        sock.close()
        raise


def _connect(
    family: int, kind: int, protocol: int, address: tuple[object, ...], timeout: float
) -> PatientSocket:
    sock = PatientSocket(family, kind, protocol)
    sock.patience = timeout
    try:
        sock.settimeout(timeout)
        sock.connect(address)
        # paramiko leaves Nagle's algorithm on, which costs 40 ms for each small file.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # An unconfirmed keepalive ends the connection at once, instead of after a quarter of an hour.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_SECONDS * 1000)
    except BaseException:
        sock.close()
        raise
    return sock
