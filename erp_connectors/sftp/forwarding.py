"""A TCP connection that a jump host makes for us, used like a socket."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import paramiko

from erp_connectors.sftp.errors import ForwardingRefused, HopConnectFailed, SshError
from erp_connectors.sftp.peer_errors import PEER_ERRORS
from erp_connectors.sftp.tcp import Patience
from erp_connectors.sftp.texts import Text

# RFC 4254, section 5.1: these do not change by themselves. The others may be different at the next attempt.
PROHIBITED, UNKNOWN_CHANNEL_TYPE = 1, 3


class ForwardedStream(Patience):
    """A channel of the jump host's session with the methods of a socket.

    `close` leaves the connection to the jump host open. `shutdown` ends it as well, without sending a request.
    """

    def __init__(self, channel: paramiko.Channel, peer: tuple[str, int], cut: Callable[[], None]) -> None:
        self._channel = channel
        self._peer = peer
        self._cut = cut

    def send(self, data: bytes) -> int:
        sent = self._send_patiently(partial(self._channel.send, data))
        if data and not sent:
            # paramiko's answer after the end of the channel.
            raise BrokenPipeError("the jump host closed the connection")
        return sent

    def recv(self, size: int) -> bytes:
        received: bytes = self._channel.recv(size)
        return received

    def settimeout(self, seconds: float | None) -> None:
        self._channel.settimeout(seconds)

    def getpeername(self) -> tuple[str, int]:
        return self._peer

    def shutdown(self, how: int) -> None:
        self._cut()

    def close(self) -> None:
        # It sends a request, and the connection may be gone.
        with suppress(*PEER_ERRORS):
            self._channel.close()

    @property
    def _closed(self) -> bool:
        # paramiko asks a socket for it.
        return bool(self._channel.closed)


def refusal_of(error: paramiko.ChannelException, address: str, says: str) -> SshError:
    """Return the error for a connection that the jump host did not make. ``says``: its reason, if it gave one."""
    kind = ForwardingRefused if error.code in (PROHIBITED, UNKNOWN_CHANNEL_TYPE) else HopConnectFailed
    text: Any = getattr(error, "text", "")
    return kind(Text("ssh.forwarding", address=address, error=(says or str(text)).rstrip(".")))
