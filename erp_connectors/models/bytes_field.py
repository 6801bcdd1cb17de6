"""A column of bytes that does not make the INSERT of many rows slow."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    _BinaryField = models.BinaryField[Any, Any]
else:
    _BinaryField = models.BinaryField


class BytesField(_BinaryField):
    """As `BinaryField`, without the placeholder that only MySQL needs.

    On PostgreSQL, Django inserts many rows with one array for each column. If a field has a placeholder of its own, it
    uses a parameter for each value instead: 6,000 for 200 exports. Migrations see Django's own field.
    """

    @property
    def get_placeholder(self) -> Any:
        # Django asks with hasattr.
        raise AttributeError("get_placeholder")

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        name, _, arguments, options = super().deconstruct()
        return name, "django.db.models.BinaryField", arguments, options
