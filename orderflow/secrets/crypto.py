"""AES-256-GCM for secrets in the database: a key per org derived from the master key, bound to table, column and row.

Stored form: ``v1.<key id>.<base64url of iv + ciphertext + tag>``. The key id is the first 8 hex digits of the
master key's SHA-256, so that a ring of keys needs no trial and error during a rotation.
"""

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from orderflow.messages import Message, register

VERSION = "v1"
IV_BYTES = 12
KEY_HEX_DIGITS = 64


register(
    {
        "secret.unknown_form": "it is stored in an unknown form (%(form)s)",
        "secret.unknown_key": "it was written with key %(key)s, which this deployment does not have",
        "secret.altered": "it was changed, or copied here from another row or column",
    }
)


class BadKey(ValueError):
    """A master key that is not 64 hex digits, or all the same byte."""


class Undecryptable(Exception):
    """A stored value that no key of the ring opens in its place; the message names no secret."""

    def __init__(self, message: Message) -> None:
        self.message = message
        super().__init__(message)


@dataclass(frozen=True, slots=True, repr=False)
class MasterKey:
    key: bytes

    @classmethod
    def from_hex(cls, text: str) -> "MasterKey":
        """Raises `BadKey`."""
        try:
            key = bytes.fromhex(text)
        except ValueError:
            raise BadKey("is not hexadecimal") from None
        if len(text) != KEY_HEX_DIGITS or len(key) * 2 != KEY_HEX_DIGITS:
            raise BadKey(f"has {len(text)} characters instead of {KEY_HEX_DIGITS} hex digits")
        if len(set(key)) == 1:
            raise BadKey("repeats one byte")
        return cls(key)

    @classmethod
    def generate(cls) -> "MasterKey":
        return cls(os.urandom(KEY_HEX_DIGITS // 2))

    @property
    def hex(self) -> str:
        return self.key.hex()

    @property
    def id(self) -> str:
        return hashlib.sha256(self.key).hexdigest()[:8]

    @property
    def prefix(self) -> str:
        """Return the prefix of all values that this key has sealed."""
        return f"{VERSION}.{self.id}."

    def for_org(self, org_id: UUID) -> AESGCM:
        derive = HKDF(hashes.SHA256(), length=32, salt=None, info=b"erp-connection-config|" + org_id.bytes)
        return AESGCM(derive.derive(self.key))


@dataclass(frozen=True, slots=True)
class Place:
    """Place of a stored value; the value decrypts only there."""

    table: str
    column: str
    row_id: UUID

    @property
    def associated_data(self) -> bytes:
        return f"{self.table}.{self.column}|".encode() + self.row_id.bytes


def seal(plaintext: bytes, *, key: MasterKey, org_id: UUID, place: Place) -> str:
    iv = os.urandom(IV_BYTES)
    sealed = iv + key.for_org(org_id).encrypt(iv, plaintext, place.associated_data)
    return f"{key.prefix}{base64.urlsafe_b64encode(sealed).decode()}"


def sealed_with(stored: str) -> str:
    """The id of the key that sealed it."""
    return stored.partition(".")[2].partition(".")[0]


def unseal(stored: str, *, ring: Sequence[MasterKey], org_id: UUID, place: Place) -> bytes:
    """Raises `Undecryptable`: an unknown key, a changed byte, or a value that belongs to another place."""
    version, _, rest = stored.partition(".")
    key_id, _, encoded = rest.partition(".")
    if version != VERSION:
        raise Undecryptable(Message("secret.unknown_form", form=version[:8]))
    key = next((key for key in ring if key.id == key_id), None)
    if key is None:
        raise Undecryptable(Message("secret.unknown_key", key=key_id[:8]))
    try:
        sealed = base64.b64decode(encoded, altchars=b"-_", validate=True)
        if base64.urlsafe_b64encode(sealed).decode() != encoded:
            raise ValueError("padding bits were changed")
        return key.for_org(org_id).decrypt(sealed[:IV_BYTES], sealed[IV_BYTES:], place.associated_data)
    except (InvalidTag, binascii.Error, ValueError):
        raise Undecryptable(Message("secret.altered")) from None
