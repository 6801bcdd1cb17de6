"""paramiko's transport for a server that may mean harm: what it takes on trust is bounded here."""

import time
from typing import Any

import paramiko
from paramiko.common import MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA
from paramiko.packet import Packetizer

from erp_connectors.sftp.hiding import Hide

NO_MORE_AUTH_METHODS = 14
# As OpenSSH; RFC 4253 asks for 35,000.
MAX_PACKET = 1 << 18
MAX_GREETING = 32_768
MAX_EXTENSIONS = 64


class BoundedPacketizer(Packetizer):
    """Neither a greeting nor a packet without end: paramiko would collect two gigabytes of one that is announced so."""

    _greeted = 0
    _greeting_ends = 0.0

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        if n > MAX_PACKET:
            raise paramiko.SSHException("the server announced a packet that is too long")
        data: bytes = super().read_all(n, check_rekey=check_rekey)
        return data

    def _read_timeout(self, timeout: float) -> bytes:
        # Only the greeting is read this way, and each piece of it would have the whole time anew.
        self._greeting_ends = self._greeting_ends or time.monotonic() + timeout
        data: bytes = super()._read_timeout(timeout)  # type: ignore[misc]
        self._greeted += len(data)
        if self._greeted > MAX_GREETING or time.monotonic() > self._greeting_ends:
            raise paramiko.SSHException("Invalid greeting: it does not end")
        return data


def _feed(channel: Any, message: paramiko.Message) -> None:
    """paramiko does not hold a server to its window, so that one could fill our memory while nobody reads."""
    channel._feed(message)  # noqa: SLF001
    if len(channel.in_buffer) > channel.in_window_size:
        raise paramiko.SSHException("the server sent more than it may")


def _discard(channel: Any, message: paramiko.Message) -> None:
    """What SFTP servers write beside SFTP is read by nobody, and would be kept for ever."""


class GuardedTransport(paramiko.Transport):
    """Remembers a server's farewell, which paramiko only logs: some hang up instead of refusing a login.

    ``hide`` is asked for what the server says before that is remembered or logged.
    """

    denied = ""
    _channel_handler_table = {
        **paramiko.Transport._channel_handler_table,  # type: ignore[attr-defined]  # noqa: SLF001
        MSG_CHANNEL_DATA: _feed,
        MSG_CHANNEL_EXTENDED_DATA: _discard,
    }

    def __init__(self, sock: Any, hide: Hide = str) -> None:
        self._hide = hide
        super().__init__(sock, packetizer_class=BoundedPacketizer)

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
