"""A person's TOTP secret under the master key, as configs are; by a key of their own, as staff have no org."""

from uuid import UUID

from orderflow.secrets.crypto import Place, seal, unseal
from orderflow.secrets.key_ring import key_ring

TABLE, COLUMN = "second_factor_secondfactor", "secret"


def sealed(secret: bytes, person_id: UUID) -> str:
    return seal(secret, key=key_ring()[0], org_id=person_id, place=Place(TABLE, COLUMN, person_id))


def opened(stored: str, person_id: UUID) -> bytes:
    """Raises `orderflow.secrets.crypto.Undecryptable`."""
    return unseal(stored, ring=key_ring(), org_id=person_id, place=Place(TABLE, COLUMN, person_id))
