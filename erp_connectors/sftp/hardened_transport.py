"""paramiko's transport for a server that may mean harm: what it takes on trust is bounded here."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import paramiko
from paramiko.auth_handler import AuthHandler
from paramiko.common import MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA
from paramiko.packet import Packetizer

from erp_connectors.sftp import key_exchange
from erp_connectors.sftp.errors import ProtocolViolation
from erp_connectors.sftp.redact import Redact
from erp_connectors.sftp.server_algorithms import KEXINIT, Offer, parse_offer

NO_MORE_AUTH_METHODS = 14
# As OpenSSH; RFC 4253 asks for 35,000.
MAX_PACKET = 1 << 18
MAX_GREETING = 32_768
MAX_EXTENSIONS = 64
MAX_QUESTIONS = 16
# As much of a greeting as tells which kind of server sends it.
KEPT_GREETING = 512


class BoundedPacketizer(Packetizer):
    """Neither a greeting nor a packet without end: paramiko would collect two gigabytes of one that is announced so."""

    greeting = b""
    _greeted = 0
    _greeting_ends = 0.0

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        if n > MAX_PACKET:
            raise paramiko.SSHException("the server announced a packet that is too long")
        data: bytes = super().read_all(n, check_rekey=check_rekey)
        return data

    def _read_timeout(self, timeout: float) -> bytes:
        # Only the greeting is read this way, and each part of it would get the full timeout again.
        self._greeting_ends = self._greeting_ends or time.monotonic() + timeout
        data: bytes = super()._read_timeout(timeout)  # type: ignore[misc]
        self._greeted += len(data)
        self.greeting = (self.greeting + data)[:KEPT_GREETING]
        if self._greeted > MAX_GREETING or time.monotonic() > self._greeting_ends:
            raise paramiko.SSHException("Invalid greeting: it does not end")
        return data


def _feed(channel: Any, message: paramiko.Message) -> None:
    """Enforce the channel window, which paramiko does not: a server could fill our memory."""
    channel._feed(message)  # noqa: SLF001
    if len(channel.in_buffer) > channel.in_window_size:
        raise paramiko.SSHException("the server sent more than it may")


def _discard(channel: Any, message: paramiko.Message) -> None:
    """Discard extended data of a channel: no code reads it, so it would fill our memory."""


class KeyTypeRefused(paramiko.AuthenticationException):
    """The server's list of signatures has none that this key can make."""


class PasswordExpired(paramiko.AuthenticationException):
    pass


class _LoginHandler(AuthHandler):
    """Request the login service once. An error ends the login, not the connection's thread."""

    transport: "GuardedTransport"

    def _request_auth(self) -> None:
        # Some servers drop a client that asks a second time for the service that it has already.
        if not self.transport.login_began:
            super()._request_auth()  # type: ignore[misc]
            return
        accepted = paramiko.Message()
        accepted.add_string("ssh-userauth")
        accepted.rewind()
        self._parse_service_accept(accepted)

    def _parse_service_accept(self, m: paramiko.Message) -> None:
        self.transport.login_began = True
        try:
            super()._parse_service_accept(m)  # type: ignore[misc]
        except KeyTypeRefused as error:
            self._end(error)

    def _finalize_pubkey_algorithm(self, key_type: str) -> str:
        try:
            algorithm: str = super()._finalize_pubkey_algorithm(key_type)  # type: ignore[misc]
        except paramiko.AuthenticationException as error:
            raise KeyTypeRefused(str(error)) from None
        return algorithm

    def _parse_userauth_info_request(self, m: paramiko.Message) -> None:
        # After a password the same number is the request for a new one (RFC 4252, section 8).
        if self.auth_method == "password":
            self._end(PasswordExpired("it asks for a new password, so the present one has expired"))
            return
        for _ in ("name", "instruction", "language"):
            m.get_binary()
        if m.get_int() > MAX_QUESTIONS:
            raise paramiko.SSHException("the server asked too many questions")
        m.rewind()
        super()._parse_userauth_info_request(m)  # type: ignore[misc]

    def _end(self, error: paramiko.AuthenticationException) -> None:
        self.transport.saved_exception = error
        if self.auth_event is not None:
            self.auth_event.set()


class GuardedTransport(paramiko.Transport):
    """Remembers a server's farewell, which paramiko only logs: some hang up instead of refusing a login.

    ``hide`` is asked for what the server says before that is remembered or logged.
    """

    denied = ""
    # The server's reason for the last channel that it did not open; paramiko only logs it.
    channel_refusal = ""
    offer: Offer | None = None
    login_began = False
    saved_exception: Exception | None
    _kex_info = key_exchange.ENGINES
    _preferred_kex = key_exchange.PREFERRED
    _channel_handler_table = {
        **paramiko.Transport._channel_handler_table,  # type: ignore[attr-defined]  # noqa: SLF001
        MSG_CHANNEL_DATA: _feed,
        MSG_CHANNEL_EXTENDED_DATA: _discard,
    }

    def __init__(self, sock: Any, hide: Redact = str) -> None:
        self._hide = hide
        super().__init__(sock, packetizer_class=BoundedPacketizer)

    @property
    def greeting(self) -> bytes:
        """The first bytes that the server sent."""
        assert isinstance(self.packetizer, BoundedPacketizer)  # noqa: S101  # as it was constructed
        return self.packetizer.greeting

    @property
    def signatures(self) -> tuple[str, ...]:
        """Return the signature algorithms that the server accepts for a client's key; empty if it lists none."""
        listed: bytes = self.server_extensions.get("server-sig-algs", b"")  # type: ignore[attr-defined]
        return tuple(filter(None, listed.decode("ascii", "replace").split(",")))

    def authenticate(self, begin: Callable[[AuthHandler, threading.Event], None]) -> list[str]:
        """Send one request for authentication; return the methods that the server asks for beside it.

        Raises what paramiko raises, `KeyTypeRefused` and `PasswordExpired`.
        """
        answered = threading.Event()
        handler = self.auth_handler = _LoginHandler(self)
        begin(handler, answered)
        more: list[str] = handler.wait_for_response(answered)
        return more

    def _parse_kex_init(self, m: paramiko.Message) -> None:
        if self.offer is None:
            with suppress(ProtocolViolation):
                self.offer = parse_offer(bytes([KEXINIT]) + m.asbytes())
        super()._parse_kex_init(m)  # type: ignore[misc]

    def _parse_channel_open_failure(self, m: paramiko.Message) -> None:
        for _ in ("channel", "reason"):
            m.get_int()
        self.channel_refusal = self._hide(m.get_string().decode("utf-8", "replace"))
        m.rewind()
        super()._parse_channel_open_failure(m)  # type: ignore[misc]

    def _parse_disconnect(self, m: paramiko.Message) -> None:
        code, text = m.get_int(), self._hide(m.get_string().decode("utf-8", "replace"))
        if code == NO_MORE_AUTH_METHODS or "auth" in text.lower():
            self.denied = text or "the server hung up"

    def _log(self, level: int, msg: str | list[str], *args: object) -> None:
        # At DEBUG paramiko logs greeting, banner and farewell as they came.
        for line in [msg] if isinstance(msg, str) else msg:
            super()._log(level, "%s", self._hide(line % args if args else line))  # type: ignore[misc]

    def _parse_ext_info(self, m: paramiko.Message) -> None:
        # paramiko counts to what the server says, also far beyond the message's end; close would wait for that.
        if m.get_int() > MAX_EXTENSIONS:
            raise paramiko.SSHException("the server announced too many extensions")
        m.rewind()
        super()._parse_ext_info(m)  # type: ignore[misc]
