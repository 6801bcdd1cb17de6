"""Serializer fields that accept exactly what the OpenAPI description says; texts follow `orderflow.input_rules`.

REST framework's own accept more than they describe: `1_000`, digits of every script, `"yes"` for true, `20261102` for a
day, and control characters.
"""

from typing import Any, ClassVar

from django.core.exceptions import ValidationError as Invalid
from django.core.validators import RegexValidator
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from orderflow.input_rules import numbers
from orderflow.input_rules.currencies import CODES, require_currency
from orderflow.input_rules.text import KEY, LINES, ONE_LINE, TextRule


class _RuledText(serializers.CharField):
    rule: ClassVar[TextRule]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # The description of the API shows the pattern.
        self.validators.append(RegexValidator(self.rule.pattern))

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Check the text before REST framework strips it: a control character at an end is refused, too."""
        if isinstance(data, str):
            try:
                data = self.rule.clean(data)
            except Invalid as wrong:
                raise serializers.ValidationError(wrong.messages, code=wrong.code) from None
        return super().run_validation(data)


class KeyText(_RuledText):
    rule = KEY


class OneLineText(_RuledText):
    rule = ONE_LINE


class NotesText(_RuledText):
    rule = LINES


@extend_schema_field({"type": "string", "enum": [*CODES, ""]})
class CurrencyText(serializers.CharField):
    """A code of ISO 4217, or nothing."""

    def to_internal_value(self, data: Any) -> str:
        code: str = super().to_internal_value(data)
        try:
            require_currency(code)
        except Invalid as wrong:
            raise serializers.ValidationError(wrong.messages, code=wrong.code) from None
        return code


class Amount(serializers.DecimalField):
    """A JSON number, or the same as text: `"10.5"`."""

    def __init__(self, max_digits: int, decimal_places: int, **options: Any) -> None:
        super().__init__(max_digits, decimal_places, **options)
        whole = max_digits - decimal_places
        schema = {
            "type": ["string", "number"],
            "format": "decimal",
            "pattern": numbers.decimal_pattern(whole, decimal_places),
        }
        # drf-spectacular adds "null" to the types where it is allowed.
        extend_schema_field(schema)(self)  # type: ignore[type-var]  # stubs know classes only

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, bool) or (isinstance(data, str) and not numbers.DECIMAL.fullmatch(data)):
            self.fail("invalid")
        return super().to_internal_value(data)


class WholeNumber(serializers.IntegerField):
    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, str | bool):
            self.fail("invalid")
        whole: int = super().to_internal_value(data)
        return whole


class TrueOrFalse(serializers.BooleanField):
    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class DateOnly(serializers.DateField):
    def to_internal_value(self, value: Any) -> Any:
        if isinstance(value, str) and not numbers.DAY.fullmatch(value):
            self.fail("invalid", format="YYYY-MM-DD")
        return super().to_internal_value(value)
