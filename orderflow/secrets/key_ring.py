"""The master keys of this deployment."""

from collections.abc import Sequence

from django.conf import settings

from orderflow.secrets.crypto import MasterKey


def key_ring() -> list[MasterKey]:
    """The current master key first, then those of an unfinished rotation. Raises `crypto.BadKey`."""
    texts: Sequence[str] = [settings.ENCRYPTION_MASTER_KEY, *settings.ENCRYPTION_PREVIOUS_KEYS]
    return [MasterKey.from_hex(text) for text in texts]
