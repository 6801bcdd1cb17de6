"""Limit the cost of unlocking a private key: the file states how often its passphrase is hashed."""

import base64
import binascii
import math
import re
import struct
from collections.abc import Iterator

from erp_connectors.sftp.errors import KeyUnreadable
from erp_connectors.sftp.texts import Text

# About two seconds each. ssh-keygen takes 16 or 24 rounds, and 100 is what the cautious ask for.
MAX_ROUNDS = 256
MAX_ITERATIONS = 5_000_000
# scrypt's N * r * p: 128 bytes each, so 128 MiB.
MAX_MEMORY = 1 << 20
# Argon2's memory in KiB, 128 MiB as well, and that times its passes. PuTTYgen takes 8 MiB and some ten passes.
MAX_ARGON2_MEMORY, MAX_ARGON2_WORK, MAX_ARGON2_LANES = 1 << 17, 1 << 20, 64

_BODY = re.compile(rb"-----BEGIN ([A-Z ]+)-----(.*?)-----END", re.DOTALL)
_MAGIC = b"openssh-key-v1\0"
_INTEGER, _CONSTRUCTED = 0x02, 0x20
_DEEPEST = 10


def require_cheap(data: bytes) -> None:
    """Raises `KeyUnreadable` where unlocking would keep a process for minutes; anything unknown passes."""
    for label, body in _BODY.findall(data):
        try:
            raw = base64.b64decode(body)
            if raw.startswith(_MAGIC):
                cheap = _rounds(raw) <= MAX_ROUNDS
            else:
                cheap = b"ENCRYPTED" not in label or _is_cheap(list(_integers(_lock(raw))))
        except (binascii.Error, struct.error, IndexError):
            continue  # the key parser reports the error
        if not cheap:
            raise KeyUnreadable(Text("ssh.key_costly"))


def require_cheap_argon2(memory: int, passes: int, lanes: int) -> None:
    """``memory`` in KiB. Raises `KeyUnreadable` if deriving a key would take long, or much memory."""
    if memory > MAX_ARGON2_MEMORY or memory * passes > MAX_ARGON2_WORK or lanes > MAX_ARGON2_LANES:
        raise KeyUnreadable(Text("ssh.key_costly_putty"))


def _is_cheap(numbers: list[int]) -> bool:
    """Check the integers: PBKDF2 and its predecessors have the iterations among them, scrypt has three cost values."""
    if len(numbers) > 2 and math.prod(numbers[:3]) > MAX_MEMORY:
        return False
    return max(numbers, default=0) <= MAX_ITERATIONS


def _rounds(raw: bytes) -> int:
    at = len(_MAGIC)
    for _ in ("cipher", "derivation"):
        at += 4 + _length(raw, at)
    options = raw[at + 4 : at + 4 + _length(raw, at)]
    return _length(options, 4 + _length(options, 0)) if options else 0


def _length(raw: bytes, at: int) -> int:
    (length,) = struct.unpack_from(">I", raw, at)
    return int(length)


def _lock(der: bytes) -> bytes:
    """The first element of what the outermost one holds: how the second is locked."""
    _, start, _ = _element(der, 0)
    _, begin, end = _element(der, start)
    return der[begin:end]


def _integers(der: bytes, depth: int = 0) -> Iterator[int]:
    at = 0
    while at < len(der) and depth < _DEEPEST:
        tag, begin, at = _element(der, at)
        if tag == _INTEGER:
            yield int.from_bytes(der[begin:at], "big")
        elif tag & _CONSTRUCTED:
            yield from _integers(der[begin:at], depth + 1)


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """Its tag, where its contents begin, and where they end."""
    tag, length, begin = der[at], der[at + 1], at + 2
    if length & 0x80:
        more = length & 0x7F
        length, begin = int.from_bytes(der[begin : begin + more], "big"), begin + more
    return tag, begin, begin + length
