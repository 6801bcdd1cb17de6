"""Key pairs made here: the private half goes straight into the encrypted config, only the public one is shown."""

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from erp_connectors.sftp.keys import load_private_key

COMMENT = "orderflow"


def new_private_key() -> str:
    """Ed25519, in OpenSSH's form, without a passphrase: what keeps it secret is the config's encryption."""
    return (
        Ed25519PrivateKey.generate()
        .private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        .decode()
    )


def public_half(private_key: str, passphrase: str | None) -> str:
    """Return the line for ``authorized_keys``. Raise `KeyUnreadable`."""
    key = load_private_key(private_key, passphrase)
    return f"{key.get_name()} {key.get_base64()} {COMMENT}"
