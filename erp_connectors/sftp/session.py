"""From a host name to a logged-in SFTP channel, each step with its deadline, nothing sent before the key is checked."""

import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import paramiko
from paramiko.ssh_exception import IncompatiblePeer

from erp_connectors.sftp.channels import Channels
from erp_connectors.sftp.errors import (
    ConnectionLost,
    ConnectionRefused,
    ConnectTimeout,
    HandshakeFailed,
    HostKeyChanged,
    HostKeyUnknown,
    LoginRefused,
    NameNotFound,
    NoCommonAlgorithm,
    RequestTimeout,
    ServerBusy,
    SftpUnavailable,
)
from erp_connectors.sftp.keys import HostKey
from erp_connectors.sftp.pipeline import Pipeline

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
FAST_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
KEEPALIVE_SECONDS, SILENCE_SECONDS = 30, 30


def connect_tcp(host: str, port: int, *, timeout: float, allow: Callable[[Address], None]) -> socket.socket:
    """Look the name up once and connect to an address that ``allow`` has seen and not raised for.

    Raises `NameNotFound`, `ConnectionRefused`, `ConnectTimeout`, or what ``allow`` raises.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise NameNotFound(f"{host}: {getattr(error, 'strerror', None) or 'not a host name'}") from None
    failure: Exception = ConnectionRefused(f"{host}:{port}")
    for family, kind, protocol, _, address in found:
        allow(ipaddress.ip_address(str(address[0]).partition("%")[0]))
        try:
            return _connect(family, kind, protocol, address, timeout)
        except TimeoutError:
            failure = ConnectTimeout(f"{host}:{port} within {timeout:g} s")
        except OSError as error:
            failure = ConnectionRefused(f"{host}:{port}: {error.strerror or error}")
    raise failure


def _connect(
    family: int, kind: int, protocol: int, address: tuple[object, ...], timeout: float
) -> socket.socket:
    sock = socket.socket(family, kind, protocol)
    try:
        sock.settimeout(timeout)
        sock.connect(address)
        # paramiko leaves Nagle's algorithm on, which costs 40 ms for each small file.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # A keepalive that nobody confirms ends the connection, instead of a quarter of an hour later.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_SECONDS * 1000)
    except BaseException:
        sock.close()
        raise
    return sock


class Session:
    """An SSH connection under construction or in use. `close` it always, also after a failure."""

    def __init__(self, sock: socket.socket, *, timeout: float) -> None:
        self._timeout = timeout
        self._sock = sock
        self._transport: paramiko.Transport | None = None

    def exchange_keys(self, preferred: Sequence[HostKey] = ()) -> HostKey:
        """The SSH handshake; returns the key that the server presents, of a preferred type where it has one.

        Nothing is sent to the server beyond the handshake: hold the key against the pinned ones first, with
        `require_pinned`. Raises `ServerBusy`, `HandshakeFailed`,
        `NoCommonAlgorithm`, `RequestTimeout`.
        """
        with self._deadline():
            transport = self._transport = self._new_transport(preferred)
            try:
                transport.start_client(timeout=self._timeout)
            except IncompatiblePeer as error:
                raise NoCommonAlgorithm(str(error)) from None
            except (paramiko.SSHException, OSError, EOFError) as error:
                raise _handshake_error(error) from None
            if not transport.is_active() or transport.remote_version == "":
                # paramiko's wait ends at its deadline without a word.
                raise RequestTimeout(f"no SSH handshake within {self._timeout:g} s")
            presented = transport.get_remote_server_key()
        return HostKey(presented.get_name(), presented.asbytes())

    def login(self, username: str, *, key: paramiko.PKey | None, password: str | None) -> str:
        """By key where there is one, else by password; returns which. Raises `LoginRefused`, `ConnectionLost`."""
        transport = self._require_transport()
        with self._deadline():
            try:
                if key is not None:
                    transport.auth_publickey(username, key)
                    return f"key {key.get_name()}"
                transport.auth_password(username, password or "", fallback=False)
            except paramiko.BadAuthenticationType as error:
                raise LoginRefused(f"It offers only: {', '.join(error.allowed_types)}.") from None
            except paramiko.AuthenticationException as error:
                raise LoginRefused(f"User {username!r}: {error}") from None
            except (paramiko.SSHException, OSError, EOFError) as error:
                raise ConnectionLost(f"during the login: {error}") from None
        return "password"

    def open_channels(self, *, io_timeout: float) -> Channels:
        """SFTP on one channel, more of them when they are worth it. Raises `SftpUnavailable`, `SshError`."""
        return Channels(self._open_pipeline(io_timeout), lambda: self._open_pipeline(io_timeout))

    def _open_pipeline(self, io_timeout: float) -> Pipeline:
        with self._deadline():
            try:
                channel = self._require_transport().open_session(timeout=self._timeout)
                channel.settimeout(self._timeout)
                channel.invoke_subsystem("sftp")
            except (paramiko.SSHException, OSError, EOFError) as error:
                raise SftpUnavailable(str(error)) from None
            return Pipeline(channel, io_timeout=io_timeout)

    @property
    def alive(self) -> bool:
        """False once either side has closed the connection, or the network has been silent for too long."""
        return self._transport is not None and self._transport.is_active()

    @property
    def server_version(self) -> str:
        return str(self._require_transport().remote_version)

    def close(self) -> None:
        # A transport that is never closed keeps its thread for ever.
        with contextlib.suppress(Exception):
            if self._transport is not None:
                self._transport.close()
        self._sock.close()

    def _new_transport(self, preferred: Sequence[HostKey]) -> paramiko.Transport:
        try:
            transport = paramiko.Transport(self._sock)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise _handshake_error(error) from None
        # Longer than the wait for the whole handshake, so that silence is told from a closed connection.
        transport.banner_timeout = self._timeout * 1.25
        transport.handshake_timeout = self._timeout
        transport.auth_timeout = self._timeout
        transport.set_keepalive(KEEPALIVE_SECONDS)
        options = transport.get_security_options()
        options.ciphers = _first(FAST_CIPHERS, options.ciphers)
        # A server with several keys must present a pinned one, not merely its favourite.
        options.key_types = _first(
            [name for key in preferred for name in _signatures(key.type)], options.key_types
        )
        return transport

    def _require_transport(self) -> paramiko.Transport:
        if self._transport is None:
            raise ConnectionLost("there is no connection")
        return self._transport

    @contextmanager
    def _deadline(self) -> Iterator[None]:
        # Some of paramiko's waits take no timeout; closing the socket ends them all.
        watchdog = threading.Timer(self._timeout * 1.5, self._sock.close)
        watchdog.daemon = True
        watchdog.start()
        try:
            yield
        finally:
            watchdog.cancel()


def require_pinned(key: HostKey, pinned: Sequence[HostKey]) -> None:
    """Raises `HostKeyUnknown` where nothing is pinned, `HostKeyChanged` where something else is."""
    if not pinned:
        raise HostKeyUnknown(f"The server presents {key.type} {key.fingerprint}.")
    if key not in pinned:
        known = ", ".join(f"{pin.type} {pin.fingerprint}" for pin in pinned)
        raise HostKeyChanged(f"It presents {key.type} {key.fingerprint}; pinned is {known}.")


def _handshake_error(error: Exception) -> Exception:
    text = str(error) or type(error).__name__
    if "banner" in text.lower() or isinstance(error, EOFError | ConnectionResetError):
        if "Invalid" in text or "Indecipherable" in text:
            return HandshakeFailed("it greets with something other than SSH")
        return ServerBusy("the connection was closed before the greeting")
    return HandshakeFailed(text)


def _signatures(key_type: str) -> tuple[str, ...]:
    return ("rsa-sha2-512", "rsa-sha2-256") if key_type == "ssh-rsa" else (key_type,)


def _first(preferred: Sequence[str], offered: Sequence[str]) -> tuple[str, ...]:
    wanted = [name for name in preferred if name in offered]
    return (*dict.fromkeys(wanted), *(name for name in offered if name not in wanted))
