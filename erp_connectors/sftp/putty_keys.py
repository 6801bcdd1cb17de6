"""Private keys in PuTTY's format (.ppk), versions 2 and 3, as PuTTY's manual describes it in appendix C."""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurvePrivateKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.argon2 import Argon2d, Argon2i, Argon2id

from erp_connectors.sftp.errors import KeyUnreadable, ProtocolViolation
from erp_connectors.sftp.kdf_limits import require_cheap_argon2
from erp_connectors.sftp.texts import Text
from erp_connectors.sftp.wire import Reader, string

SIGNATURE = "PuTTY-User-Key-File-"
_CURVES = {
    "ecdsa-sha2-nistp256": SECP256R1(),
    "ecdsa-sha2-nistp384": SECP384R1(),
    "ecdsa-sha2-nistp521": SECP521R1(),
}
_ARGON2: dict[str, type[Argon2id] | type[Argon2i] | type[Argon2d]] = {
    "Argon2id": Argon2id,
    "Argon2i": Argon2i,
    "Argon2d": Argon2d,
}
_NAMES = {"ssh-dss": "DSA", "ssh-ed448": "Ed448"}
_HASH = {2: "sha1", 3: "sha256"}
# PuTTYgen writes comment and passphrase as bytes of the system's encoding, and on Windows that is not UTF-8.
_ENCODINGS = ("utf-8", "cp1252")

PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True, repr=False)
class _File:
    version: int
    algorithm: str
    fields: dict[str, str]
    public: bytes
    private: bytes

    @property
    def encrypted(self) -> bool:
        return self.fields["Encryption"] != "none"


@dataclass(frozen=True, slots=True, repr=False)
class _Secrets:
    """Derived from the passphrase."""

    cipher_key: bytes
    iv: bytes
    mac_key: bytes


def is_putty_key(text: str) -> bool:
    return text.lstrip().startswith(SIGNATURE)


def load_putty_key(text: str, passphrase: str | None) -> PrivateKey:
    """Raises `KeyUnreadable`. The MAC is checked before anything of the private part is used."""
    try:
        file = _parse(text)
        _require_known(file)
        private = _verified(file, passphrase)
        return _key(file.algorithm, Reader(file.public), Reader(private))
    except (ValueError, LookupError, OverflowError, UnsupportedAlgorithm, ProtocolViolation):
        raise KeyUnreadable(Text("ssh.key_damaged")) from None


def _parse(text: str) -> _File:
    lines = [line.strip() for line in reversed(text.strip().splitlines())]
    first, algorithm = _pair(lines.pop())
    version = int(first.removeprefix(SIGNATURE))
    fields: dict[str, str] = {}
    blobs: dict[str, bytes] = {}
    while lines:
        name, value = _pair(lines.pop())
        if name in ("Public-Lines", "Private-Lines"):
            blobs[name] = base64.b64decode("".join(lines.pop() for _ in range(int(value))), validate=True)
        else:
            fields[name] = value
    return _File(version, algorithm, fields, blobs["Public-Lines"], blobs["Private-Lines"])


def _pair(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value.strip()


def _require_known(file: _File) -> None:
    if file.version not in _HASH:
        raise KeyUnreadable(Text("ssh.key_putty_version", version=file.version))
    if file.algorithm not in (*_CURVES, "ssh-ed25519", "ssh-rsa"):
        name = _NAMES.get(file.algorithm)
        raise KeyUnreadable(Text("ssh.key_of_kind", type=name) if name else Text("ssh.key_other_kind"))
    if file.fields["Encryption"] not in ("none", "aes256-cbc"):
        raise KeyUnreadable(Text("ssh.key_putty_encryption"))


def _verified(file: _File, passphrase: str | None) -> bytes:
    """The private part, decrypted. Raises `KeyUnreadable` if the MAC does not match."""
    if file.encrypted and not passphrase:
        raise KeyUnreadable(Text("ssh.key_passphrase_missing"))
    words = (passphrase or "") if file.encrypted else ""
    comment = file.fields["Comment"]
    for encoding in _ENCODINGS if not (words + comment).isascii() else _ENCODINGS[:1]:
        secrets = _derive(file, words.encode(encoding, "replace"))
        private = _decrypt(file.private, secrets) if file.encrypted else file.private
        signed: list[str | bytes] = [file.algorithm, file.fields["Encryption"]]
        signed += [comment.encode(encoding, "replace"), file.public, private]
        mac = hmac.new(secrets.mac_key, b"".join(map(string, signed)), _HASH[file.version])
        if hmac.compare_digest(mac.digest(), bytes.fromhex(file.fields["Private-MAC"])):
            return private
    raise KeyUnreadable(Text("ssh.key_passphrase_wrong_or_damaged" if file.encrypted else "ssh.key_damaged"))


def _derive(file: _File, passphrase: bytes) -> _Secrets:
    if file.version == 2:
        halves = [hashlib.sha1(bytes([0, 0, 0, n]) + passphrase).digest() for n in (0, 1)]  # noqa: S324
        mac_key = hashlib.sha1(b"putty-private-key-file-mac-key" + passphrase).digest()  # noqa: S324
        return _Secrets(b"".join(halves)[:32], bytes(16), mac_key)
    if not file.encrypted:
        return _Secrets(b"", b"", b"")
    numbers = [int(file.fields[f"Argon2-{name}"]) for name in ("Memory", "Passes", "Parallelism")]
    require_cheap_argon2(*numbers)
    memory, passes, lanes = numbers
    derive = _ARGON2[file.fields["Key-Derivation"]](
        salt=binascii.unhexlify(file.fields["Argon2-Salt"]),
        length=80,
        iterations=passes,
        lanes=lanes,
        memory_cost=memory,
    )
    made = derive.derive(passphrase)
    return _Secrets(made[:32], made[32:48], made[48:])


def _decrypt(data: bytes, secrets: _Secrets) -> bytes:
    decryptor = Cipher(algorithms.AES(secrets.cipher_key), modes.CBC(secrets.iv)).decryptor()
    return decryptor.update(data) + decryptor.finalize()


def _key(algorithm: str, public: Reader, private: Reader) -> PrivateKey:
    public.string()
    if algorithm == "ssh-ed25519":
        return Ed25519PrivateKey.from_private_bytes(private.string())
    if algorithm in _CURVES:
        return derive_private_key(_integer(private), _CURVES[algorithm])
    e, n = _integer(public), _integer(public)
    d, p, q, coefficient = (_integer(private) for _ in range(4))
    return rsa.RSAPrivateNumbers(
        p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), coefficient, rsa.RSAPublicNumbers(e, n)
    ).private_key()


def _integer(reader: Reader) -> int:
    return int.from_bytes(reader.string(), "big")
