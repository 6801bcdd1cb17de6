"""A column that holds a `Message`, as JSON: its code and parameters."""

from typing import Any

from django.db import models

from orderflow.messages import Message, foreign


class MessageField(models.JSONField):
    """Attribute and lookups take a `Message` or None. Queries by code: ``message__code="…"``."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return self.to_python(super().from_db_value(value, expression, connection))

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str):  # a connector or transport gave a text instead of a message
            return foreign(value)
        return Message.from_json(value) if isinstance(value, dict) and "code" in value else value

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        return super().get_db_prep_value(_json(value), connection, prepared)

    def value_to_string(self, obj: models.Model) -> Any:
        return _json(self.value_from_object(obj))


def _json(value: Any) -> Any:
    return value.as_json() if isinstance(value, Message) else value
