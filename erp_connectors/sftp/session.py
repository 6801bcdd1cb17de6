"""From a TCP connection to a logged-in SFTP channel, each step with a deadline. Nothing is sent to an unchecked key."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import paramiko
from paramiko.ssh_exception import IncompatiblePeer

from erp_connectors.sftp import algorithms
from erp_connectors.sftp.channels import Channels
from erp_connectors.sftp.errors import (
    ConnectionLost,
    ConnectTimeout,
    HopConnectFailed,
    HostKeyChanged,
    HostKeyUnknown,
    LoginRefused,
    ProtocolViolation,
    ServerBusy,
    SftpUnavailable,
    SshError,
)
from erp_connectors.sftp.forwarding import ForwardedStream, refusal_of
from erp_connectors.sftp.hardened_transport import GuardedTransport
from erp_connectors.sftp.keys import HostKey
from erp_connectors.sftp.limits import LearnedLimits
from erp_connectors.sftp.login import KEY, Login, LoginMethod
from erp_connectors.sftp.other_services import USUAL_PORTS
from erp_connectors.sftp.peer_errors import PEER_ERRORS, handshake_error, no_common_algorithm
from erp_connectors.sftp.pipeline import Pipeline
from erp_connectors.sftp.redact import Redact
from erp_connectors.sftp.server_algorithms import Offer
from erp_connectors.sftp.tcp import PatientSocket, host_and_port
from erp_connectors.sftp.texts import Text, seconds, sentence_of, showable

KEEPALIVE_SECONDS = 30


class Session:
    """An SSH connection under construction or in use. `close` it always, also after a failure.

    ``legacy`` also offers ciphers and MACs that nobody should need any more.
    ``hide`` is asked for what the server says. ``peer``: host and port of the server if a proxy is in between.
    """

    def __init__(
        self,
        sock: PatientSocket | ForwardedStream,
        *,
        timeout: float,
        legacy: bool = False,
        hide: Redact = str,
        peer: tuple[str, int] | None = None,
    ) -> None:
        self._hide = hide
        self._timeout = timeout
        self._legacy = legacy
        self._sock = sock
        self._transport: GuardedTransport | None = None
        self._peer: tuple[Any, ...] = peer or ()
        # A peer may be gone again as soon as it has accepted; the handshake will say so.
        with contextlib.suppress(OSError):
            self._peer = peer or sock.getpeername()

    def exchange_keys(self, preferred: Sequence[HostKey] = ()) -> HostKey:
        """The SSH handshake; returns the key that the server presents, of a preferred type where it has one.

        Nothing is sent to the server beyond the handshake: hold the key against the pinned ones first, with
        `require_pinned`. Raises `ServerBusy`, `HandshakeFailed`, `WebServerAnswers`, `FtpServerAnswers`,
        `TlsServerAnswers`, `NoCommonAlgorithm`, `OutdatedAlgorithms`, `ConnectionLost`, `ConnectTimeout`.
        """
        try:
            with self._deadline("ssh.no_handshake_in_time"):
                return self._handshake(preferred)
        except (ServerBusy, ConnectTimeout) as error:
            usual = USUAL_PORTS.get(self._peer[1]) if self._peer else None
            if usual is None or (self._transport and self._transport.greeting):
                raise
            raise type(error)(*error.texts, Text(usual, port=self._peer[1])) from None

    def login(
        self, username: str, *, key: paramiko.PKey | None, password: str | None, needs_key: bool = False
    ) -> LoginMethod:
        """Log in with the key, the password or both, as the server asks; return which it accepted.

        ``needs_key``: a login that the key had no part in counts as refused. Raises `LoginRefused`, `ConnectionLost`.
        """
        login = Login(self._require_transport(), username, key=key, password=password, hide=self._hide)
        with self._deadline("ssh.no_login_in_time"):
            try:
                login.run()
            except PEER_ERRORS as error:
                raise ConnectionLost(Text("ssh.in_login"), *self._sentence(error)) from None
        if needs_key and KEY not in login.accepted:
            raise LoginRefused(Text("ssh.key_unused"))
        return login.method

    def forward(self, host: str, port: int, *, io_timeout: float) -> ForwardedStream:
        """Let the server, as a jump host, connect to another one. It looks the name up.

        ``io_timeout``: how long the jump host may take nothing from now on.

        Raises `ForwardingRefused`, `HopConnectFailed`, `ConnectTimeout`, `ConnectionLost`.
        """
        transport, address = self._require_transport(), host_and_port(host, port)
        with self._deadline("ssh.no_forwarding_in_time", address=address):
            try:
                channel = transport.open_channel(
                    "direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=self._timeout
                )
            except paramiko.ChannelException as error:
                raise refusal_of(error, address, transport.channel_refusal) from None
            except PEER_ERRORS as error:
                if transport.is_active():
                    raise HopConnectFailed(*self._sentence(error)) from None
                raise ConnectionLost(Text("ssh.after_login"), *self._sentence(error)) from None
        self._sock.patience = io_timeout
        return ForwardedStream(channel, (host, port), self._cut)

    def open_channels(
        self, *, io_timeout: float, expected: int = 0, learned: LearnedLimits | None = None
    ) -> Channels:
        """SFTP on one channel, more of them for large batches: at once if so many files are ``expected``.

        Raises `SftpUnavailable`, `ChannelsRefused`, `SshError`.
        """
        # The first is asked for before the others: a server may allow only one.
        with self._deadline("ssh.no_channel_in_time"):
            first = self._open_channel()
        return Channels(
            lambda: self._start_first(first, io_timeout),
            lambda: self._start_another(io_timeout),
            alive=lambda: self.alive,
            learned=learned,
            expected=expected,
        )

    def _start_first(self, channel: paramiko.Channel, io_timeout: float) -> Pipeline:
        with self._deadline("ssh.no_sftp_in_time"):
            return self._start_sftp(channel, io_timeout)

    def _start_another(self, io_timeout: float) -> Pipeline:
        """A server that does not answer loses this channel and nothing else."""
        channel = self._open_channel()
        watchdog = threading.Timer(self._timeout, channel.close)
        watchdog.daemon = True
        watchdog.start()
        try:
            return self._start_sftp(channel, io_timeout)
        except SshError:
            channel.close()
            raise
        finally:
            watchdog.cancel()

    def _open_channel(self) -> paramiko.Channel:
        try:
            return self._require_transport().open_session(timeout=self._timeout)
        except PEER_ERRORS as error:
            raise self._no_sftp(error) from None

    def _start_sftp(self, channel: paramiko.Channel, io_timeout: float) -> Pipeline:
        try:
            channel.settimeout(self._timeout)
            channel.invoke_subsystem("sftp")
        except PEER_ERRORS as error:
            raise self._no_sftp(error) from None
        self._sock.patience = io_timeout
        try:
            return Pipeline(channel, io_timeout=io_timeout, hide=self._hide)
        except (ConnectionLost, ProtocolViolation) as error:
            if not self._require_transport().is_active():
                raise
            raise SftpUnavailable(Text("ssh.not_sftp"), *error.texts) from None

    def _no_sftp(self, error: Exception) -> SshError:
        if not self._require_transport().is_active():
            return ConnectionLost(Text("ssh.after_login"), *self._sentence(error))
        return SftpUnavailable(*self._sentence(error))

    def _sentence(self, error: Exception) -> tuple[Text, ...]:
        return sentence_of(self._hide(str(error)))

    @property
    def address(self) -> str:
        return str(self._peer[0]) if self._peer else "a server that hung up at once"

    @property
    def alive(self) -> bool:
        """False once either side has closed the connection, or the network has been silent for too long."""
        return self._transport is not None and self._transport.is_active()

    @property
    def offer(self) -> Offer | None:
        """The algorithms that the server lists; None if the handshake did not come so far."""
        return self._transport.offer if self._transport else None

    @property
    def server_version(self) -> str:
        return showable(self._hide(str(self._require_transport().remote_version)), 255)

    @property
    def outdated(self) -> list[str]:
        """The algorithms in use that only an old server still wants."""
        transport = self._require_transport()
        return algorithms.outdated(cipher=transport.local_cipher, mac=transport.local_mac or "")

    def close(self) -> None:
        # A transport that is never closed keeps its thread for ever.
        with contextlib.suppress(Exception):
            if self._transport is not None:
                self._transport.close()
        self._sock.close()

    def _handshake(self, preferred: Sequence[HostKey]) -> HostKey:
        transport = self._transport = self._new_transport(preferred)
        try:
            transport.start_client(timeout=self._timeout)
            # paramiko's wait ends at its deadline without a word, and then there is no key.
            presented = transport.get_remote_server_key()
        except IncompatiblePeer as error:
            raise no_common_algorithm(str(error), transport.offer, legacy=self._legacy) from None
        except PEER_ERRORS as error:
            raise handshake_error(error, transport, self._hide) from None
        return HostKey(presented.get_name(), presented.asbytes())

    def _new_transport(self, preferred: Sequence[HostKey]) -> GuardedTransport:
        try:
            transport = GuardedTransport(self._sock, self._hide)
        except PEER_ERRORS as error:
            raise handshake_error(error, None, self._hide) from None
        # Longer than the wait for the whole handshake, to distinguish silence from a closed connection.
        transport.banner_timeout = self._timeout * 1.25
        transport.handshake_timeout = self._timeout
        transport.auth_timeout = self._timeout
        transport.set_keepalive(KEEPALIVE_SECONDS)
        options = transport.get_security_options()
        options.ciphers = algorithms.ciphers(options.ciphers, legacy=self._legacy)
        options.digests = algorithms.macs(options.digests, legacy=self._legacy)
        # A server with several keys must present a pinned one, not merely its favourite.
        options.key_types = _first(
            [name for key in preferred for name in _signatures(key.type)], options.key_types
        )
        return transport

    def _require_transport(self) -> GuardedTransport:
        if self._transport is None:
            raise ConnectionLost(Text("ssh.not_connected"))
        return self._transport

    @contextmanager
    def _deadline(self, code: str, **params: str) -> Iterator[None]:
        """Cut the connection after the timeout. Raises `ConnectTimeout` with the text for an error after that time."""
        ends = time.monotonic() + self._timeout
        # Some of paramiko's waits take no timeout; a connection that is cut ends them all.
        watchdog = threading.Timer(self._timeout * 1.25, self._cut)
        watchdog.daemon = True
        watchdog.start()
        try:
            yield
        except SshError:
            if time.monotonic() < ends:
                raise
            raise ConnectTimeout(Text(code, seconds=seconds(self._timeout), **params)) from None
        finally:
            watchdog.cancel()

    def _cut(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)


def require_pinned(key: HostKey, pinned: Sequence[HostKey]) -> None:
    """Raises `HostKeyUnknown` where nothing is pinned, `HostKeyChanged` where something else is."""
    if not pinned:
        raise HostKeyUnknown(Text("ssh.presents", key=f"{key.type} {key.fingerprint}"))
    if key not in pinned:
        known = ", ".join(f"{pin.type} {pin.fingerprint}" for pin in pinned)
        raise HostKeyChanged(Text("ssh.presents_other", key=f"{key.type} {key.fingerprint}", pinned=known))


def _signatures(key_type: str) -> tuple[str, ...]:
    return ("rsa-sha2-512", "rsa-sha2-256") if key_type == "ssh-rsa" else (key_type,)


def _first(preferred: Sequence[str], offered: Sequence[str]) -> tuple[str, ...]:
    wanted = [name for name in preferred if name in offered]
    return (*dict.fromkeys(wanted), *(name for name in offered if name not in wanted))
