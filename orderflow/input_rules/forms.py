"""Form fields that apply the rules, for forms without a model field."""

from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.utils.formats import get_format
from django.utils.translation import gettext as _

from orderflow.input_rules import numbers
from orderflow.input_rules.text import KEY, LINES, TextRule


class _RuledText(forms.CharField):
    rule: ClassVar[TextRule]

    def clean(self, value: Any) -> Any:
        """Check the text before Django strips it: a control character at an end is refused, too."""
        return super().clean(self.rule.clean(value) if isinstance(value, str) else value)


class KeyText(_RuledText):
    rule = KEY


class NotesText(_RuledText):
    rule = LINES


class Amount(forms.DecimalField):
    """Decimal number with the decimal separator of the active language, shown without trailing zeros.

    With a decimal comma a point is refused: a German reader takes 250.000 for 250 thousand.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"localize": True, **kwargs})

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        return {**super().widget_attrs(widget), "inputmode": "decimal"}

    def prepare_value(self, value: Any) -> Any:
        """Return a stored value without trailing zeros, never as 1E+3."""
        if not isinstance(value, Decimal) or not value.is_finite():
            return value
        digits, point, decimals = f"{value:f}".partition(".")
        return Decimal(digits + (point + decimals).rstrip("0").rstrip("."))

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and value.strip():
            value = self._with_point(value.strip())
        return super().to_python(value)

    def _with_point(self, text: str) -> str:
        comma = get_format("DECIMAL_SEPARATOR") == ","
        if comma and numbers.DECIMAL.fullmatch(text) and "." in text:
            raise ValidationError(
                _("Write the number with a decimal comma and without thousands separators, like 1234,5."),
                code="invalid",
            )
        plain = text.replace(",", ".") if comma else text
        if not numbers.DECIMAL.fullmatch(plain):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return plain


class WholeNumber(forms.IntegerField):
    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and value.strip() and not numbers.WHOLE.fullmatch(value.strip()):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return super().to_python(value)
