"""Form fields that apply the rules, for forms without a model field."""

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError

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
    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and value.strip() and not numbers.DECIMAL.fullmatch(value.strip()):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return super().to_python(value)


class WholeNumber(forms.IntegerField):
    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and value.strip() and not numbers.WHOLE.fullmatch(value.strip()):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return super().to_python(value)
