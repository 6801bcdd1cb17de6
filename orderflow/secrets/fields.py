"""A model field that is plain JSON in Python and AES-256-GCM in the database."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from django.db import models

from orderflow.secrets.crypto import MasterKey, Place, Undecryptable, seal, unseal
from orderflow.secrets.key_ring import key_ring


class Sealed(str):
    """The stored form of a value. It is decrypted only when the value is read."""


def reseal(stored: Sealed, *, ring: Sequence[MasterKey], org_id: UUID, place: Place) -> Sealed:
    """The same config under the first key of the ring. Raises `crypto.Undecryptable`."""
    plain = unseal(stored, ring=ring, org_id=org_id, place=place)
    return Sealed(seal(plain, key=ring[0], org_id=org_id, place=place))


def place_in(model: "type[models.Model] | models.Model", column: str, row_id: UUID) -> Place:
    return Place(model._meta.db_table, column, row_id)


class OwnedConfig(dict[str, Any]):
    """A plain config that knows the row it is sealed for."""

    def __init__(self, values: Mapping[str, Any], row: models.Model, column: str) -> None:
        super().__init__(values)
        self.row, self.column = row, column

    def __repr__(self) -> str:
        """Names only: traces, debug pages and logs show what a variable holds."""
        return f"OwnedConfig({', '.join(sorted(self))})"


class EncryptedFieldDescriptor:
    def __init__(self, field: "EncryptedField") -> None:
        self.field, self.name = field, field.attname

    def __get__(self, row: models.Model | None, owner: type | None = None) -> Any:
        if row is None:
            return self
        if self.name not in row.__dict__:
            row.refresh_from_db(fields=[self.name])
        value = row.__dict__[self.name]
        if isinstance(value, Sealed):
            value = row.__dict__[self.name] = OwnedConfig(self.field.open(value, row), row, self.name)
        return value

    def __set__(self, row: models.Model, value: Any) -> None:
        row.__dict__[self.name] = OwnedConfig(value, row, self.name) if isinstance(value, Mapping) else value


if TYPE_CHECKING:
    _TextField = models.TextField[dict[str, Any], dict[str, Any]]
else:
    _TextField = models.TextField


class EncryptedField(_TextField):
    """Hold a JSON object, sealed for its row's ``org_id`` and ``id``.

    Reading it raises the error that `unreadable` returns if no key opens the value in this row.
    """

    descriptor_class = EncryptedFieldDescriptor

    def unreadable(self, row: Any, error: Undecryptable) -> Exception:
        """Return the error to raise for a value that no key opens."""
        return error

    def open(self, stored: Sealed, row: Any) -> dict[str, Any]:
        place = place_in(row, self.attname, row.id)
        try:
            plain = unseal(stored, ring=key_ring(), org_id=row.org_id, place=place)
        except Undecryptable as error:
            raise self.unreadable(row, error) from None
        value: dict[str, Any] = msgspec.json.decode(plain)
        return value

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Sealed | None:
        return None if value is None else Sealed(value)

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        value = model_instance.__dict__[self.attname]
        return value if isinstance(value, Sealed) else _close(value)

    def get_prep_value(self, value: Any) -> str | None:
        if isinstance(value, OwnedConfig):
            return _close(value)
        if value is not None and not isinstance(value, Sealed):
            raise TypeError("an encrypted config is written by saving its connection, and can't be searched")
        return None if value is None else str(value)

    def value_to_string(self, obj: models.Model) -> str:
        return str(self.pre_save(obj, add=False))

    def to_python(self, value: Any) -> Any:
        return Sealed(value) if isinstance(value, str) else value


def _close(value: OwnedConfig) -> Sealed:
    row: Any = value.row
    plain = msgspec.json.encode(dict(value))
    return Sealed(
        seal(plain, key=key_ring()[0], org_id=row.org_id, place=place_in(row, value.column, row.id))
    )
