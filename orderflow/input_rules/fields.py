"""Model fields that apply the rules. Forms and serializers of a model inherit them; queries compare normal forms.

Migrations see Django's own fields, so that a change of a rule needs no migration.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models
from django.db.models.expressions import Combinable

from orderflow.input_rules.currencies import require_currency
from orderflow.input_rules.text import KEY, LINES, ONE_LINE, TextRule

if TYPE_CHECKING:
    _CharField = models.CharField[str | int | Combinable, str]
    _TextField = models.TextField[str | Combinable, str]
    _Field = models.Field[Any, str]
else:
    _CharField = models.CharField
    _TextField = models.TextField
    _Field = object


class RuledText(_Field):
    """``clean`` raises `ValidationError` as the rule does; saved and looked-up values are in the rule's normal form."""

    rule: ClassVar[TextRule]
    django_path: ClassVar[str] = "django.db.models.CharField"

    def to_python(self, value: Any) -> Any:
        value = super().to_python(value)
        return self.rule.normal(value) if isinstance(value, str) else value

    def clean(self, value: Any, model_instance: models.Model | None) -> Any:
        if isinstance(value, str):
            self.rule.check(value)
        return super().clean(value, model_instance)

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        name, _path, args, options = super().deconstruct()
        return name, self.django_path, args, options


class KeyField(RuledText, _CharField):
    """A number that identifies an order, a customer or a product."""

    rule = KEY


class OneLineField(RuledText, _CharField):
    """A name or a description."""

    rule = ONE_LINE


class NotesField(RuledText, _TextField):
    """Text with line breaks."""

    rule = LINES
    django_path = "django.db.models.TextField"


class CurrencyField(_CharField):
    """A code of ISO 4217; may be empty if ``blank``."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options | {"max_length": 3})

    def clean(self, value: Any, model_instance: models.Model | None) -> Any:
        cleaned = super().clean(value, model_instance)
        if cleaned:
            require_currency(cleaned)
        return cleaned

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        name, _path, args, options = super().deconstruct()
        return name, "django.db.models.CharField", args, options
