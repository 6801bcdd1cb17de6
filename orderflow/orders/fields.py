"""A decimal that comes back exactly as it went in, on SQLite too."""

import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import gettext as _

from orderflow.input_rules import forms

if TYPE_CHECKING:
    _DecimalField = models.DecimalField[Any, Any]
else:
    _DecimalField = models.DecimalField


_PLAIN = re.compile(r"[0-9.eE+-]+")


class ExactDecimalField(_DecimalField):
    """NUMERIC on PostgreSQL, text on SQLite, whose own decimals are floats that lose digits beyond the 15th.

    On SQLite the database compares such values as text, so ranges and sorting by them are left to Python.
    """

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        return (
            "text" if connection.vendor == "sqlite" else f"numeric({self.max_digits},{self.decimal_places})"
        )

    def get_internal_type(self) -> str:
        # Django's SQLite backend attaches its float converter to "DecimalField".
        return "ExactDecimalField"

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Decimal | None:
        return Decimal(value) if isinstance(value, str) else value

    def to_python(self, value: Any) -> Decimal | None:
        if value is None:
            return None
        try:
            number = Decimal(str(value))
            # Decimal also takes 1_000, and the digits of every script.
            if not number.is_finite() or (isinstance(value, str) and not _PLAIN.fullmatch(value)):
                raise InvalidOperation
            scaled = number.quantize(Decimal(1).scaleb(-(self.decimal_places or 0)), context=self.context)
        except (InvalidOperation, ValueError):
            said = _("%(value)s is not a number of at most %(n)s digits.")
            raise ValidationError(said % {"value": repr(value), "n": self.max_digits}) from None
        # Rounding would change an order: validators refuse what has too many decimals instead.
        return scaled if scaled == number else number

    def formfield(self, **options: Any) -> Any:
        return super().formfield(**{"form_class": forms.Amount, **options})

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        if value is None or hasattr(value, "resolve_expression"):
            return value
        number = self.to_python(value)
        self.run_validators(number)
        return str(number) if connection.vendor == "sqlite" else number

    def get_db_prep_save(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        return self.get_db_prep_value(value, connection)
