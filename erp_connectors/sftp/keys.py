"""Parse SSH keys as users paste them: private keys for the login, public keys of a server."""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from itertools import pairwise

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from erp_connectors.sftp.errors import HostKeyUnknown, KeyUnreadable
from erp_connectors.sftp.kdf_limits import require_cheap
from erp_connectors.sftp.putty_keys import PrivateKey, is_putty_key, load_putty_key
from erp_connectors.sftp.texts import Text, showable


@dataclass(frozen=True, slots=True)
class HostKey:
    """A server's public key; ``type`` as in known_hosts, like ``ssh-ed25519``."""

    type: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint as ``ssh-keygen -lf`` prints it."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    @property
    def line(self) -> str:
        return f"{self.type} {base64.b64encode(self.blob).decode()}"


def parse_host_key(line: str) -> HostKey:
    """``ssh-ed25519 AAAA…``, with or without host names in front or a comment behind. Raises `HostKeyUnknown`."""
    words = line.split()
    for kind, encoded in pairwise(words):
        if kind.isascii() and kind.startswith(("ssh-", "ecdsa-", "sk-")):
            try:
                blob = base64.b64decode(encoded, validate=True)
            except ValueError:
                break
            # The blob repeats its type and its lengths, so a mangled or shortened paste is noticed here.
            if blob[4 : 4 + len(kind)] == kind.encode() and _is_complete(blob):
                return HostKey(kind, blob)
    raise HostKeyUnknown(Text("ssh.not_a_public_key", line=showable(line, 40)))


def _is_complete(blob: bytes) -> bool:
    """Return whether the blob is a sequence of strings, each behind its length (RFC 4253, section 6.6)."""
    at = 0
    while at < len(blob):
        at += 4 + int.from_bytes(blob[at : at + 4])
    return at == len(blob)


def load_private_key(text: str, passphrase: str | None) -> paramiko.PKey:
    """Ed25519, ECDSA or RSA; OpenSSH, PEM or PuTTY; encrypted or not. Raises `KeyUnreadable`."""
    if is_putty_key(text):
        key = load_putty_key(text, passphrase)
    else:
        key = _parse(_encoded(text.strip()) + b"\n", _encoded(passphrase) if passphrase else None)
    try:
        return _as_paramiko(key)
    except (ValueError, UnsupportedAlgorithm, paramiko.SSHException):
        raise KeyUnreadable(Text("ssh.key_unknown_kind")) from None


def _encoded(text: str) -> bytes:
    # A lone surrogate is part of no key and no passphrase: report both as wrong.
    return text.encode(errors="replace")


def _as_paramiko(key: PrivateKey) -> paramiko.PKey:
    # paramiko reads fewer forms than cryptography, but always this one.
    openssh = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    ).decode()
    if isinstance(key, Ed25519PrivateKey):
        return paramiko.Ed25519Key.from_private_key(StringIO(openssh))
    if isinstance(key, EllipticCurvePrivateKey):
        return paramiko.ECDSAKey.from_private_key(StringIO(openssh))
    return paramiko.RSAKey.from_private_key(StringIO(openssh))


def _parse(data: bytes, passphrase: bytes | None) -> PrivateKey:
    require_cheap(data)
    load = serialization.load_ssh_private_key if b"OPENSSH" in data else serialization.load_pem_private_key
    try:
        key = _load(load, data, passphrase)
    except (TypeError, ValueError, NotImplementedError, UnsupportedAlgorithm) as error:
        raise KeyUnreadable(Text(_explain(data, passphrase, error))) from None
    if not isinstance(key, Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey):
        raise KeyUnreadable(Text("ssh.key_other_kind"))
    return key


def _load(load: Callable[[bytes, bytes | None], object], data: bytes, passphrase: bytes | None) -> object:
    try:
        return load(data, passphrase)
    except TypeError:
        if passphrase is None:
            raise
        # A passphrase was given and the key needs none.
        return load(data, None)


def _explain(data: bytes, passphrase: bytes | None, error: Exception) -> str:
    """Return the code of the text that explains the error."""
    if b"PUBLIC KEY" in data or data.startswith((b"ssh-", b"ecdsa-")):
        return "ssh.key_public"
    if b"PRIVATE KEY" not in data:
        return "ssh.key_not_private"
    if isinstance(error, TypeError) or "ncrypted" in str(error) or "assword" in str(error):
        return "ssh.key_passphrase_missing" if passphrase is None else "ssh.key_passphrase_wrong"
    if passphrase is not None:
        return "ssh.key_passphrase_wrong_or_damaged"
    return "ssh.key_damaged"
