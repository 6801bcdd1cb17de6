"""What a server offers: its first SSH packet, read raw over a connection of its own, for people to look at."""

import socket
import time
from contextlib import suppress
from typing import Any

from erp_connectors.sftp.errors import ProtocolViolation
from erp_connectors.sftp.wire import Reader

GREETING = b"SSH-2.0-OrderFlow\r\n"
KEXINIT = 20
COOKIE_BYTES = 16
MAX_PACKET = 35_000  # what RFC 4253 asks of everybody
MAX_GREETING = 8_192
MAX_LIST = 400
# The server's name-lists in their order; those of the other direction repeat these.
LISTS = ("key exchange", "host keys", "ciphers", "", "MACs")


def offered(address: Any, family: int, *, timeout: float) -> str:
    """Like ``key exchange: …; host keys: …``; empty where the server does not say it in time."""
    with suppress(OSError, ProtocolViolation), socket.socket(family, socket.SOCK_STREAM) as sock:
        return describe(_first_packet(sock, address, time.monotonic() + timeout))
    return ""


def describe(packet: bytes) -> str:
    """Of the payload of a KEXINIT. Raises `ProtocolViolation`."""
    reader = Reader(packet)
    if reader.take(1)[0] != KEXINIT:
        raise ProtocolViolation("the server's first packet does not list its algorithms")
    reader.take(COOKIE_BYTES)
    lists = [(label, _plain(reader.string())) for label in LISTS]
    return "; ".join(f"{label}: {names}" for label, names in lists if label)


def _first_packet(sock: socket.socket, address: Any, ends: float) -> bytes:
    sock.settimeout(_left(ends))
    sock.connect(address)
    sock.sendall(GREETING)
    received = bytearray()
    while (packet := _payload(received)) is None:
        sock.settimeout(_left(ends))
        part = sock.recv(MAX_PACKET)
        if not part:
            raise ProtocolViolation("the server closed the connection")
        received += part
    return packet


def _payload(received: bytearray) -> bytes | None:
    """The first packet's payload; None until all of it is there."""
    start = 0 if received.startswith(b"SSH-") else received.find(b"\nSSH-") + 1
    end = received.find(b"\n", start) if start or received.startswith(b"SSH-") else -1
    if end < 0:
        if len(received) > MAX_GREETING:
            raise ProtocolViolation("the server greets without end")
        return None
    reader = Reader(bytes(received[end + 1 :]))
    if reader.left < 5:
        return None
    length, padding = reader.u32(), reader.take(1)[0]
    if not padding + 1 < length <= MAX_PACKET:
        raise ProtocolViolation(f"the server announced a packet of {length} bytes")
    return reader.take(length - padding - 1) if reader.left >= length - 1 else None


def _plain(names: bytes) -> str:
    text = "".join(c for c in names.decode("ascii", "replace") if c.isascii() and c.isprintable())
    return (text[:MAX_LIST] + "…" if len(text) > MAX_LIST else text).replace(",", ", ") or "none"


def _left(ends: float) -> float:
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
