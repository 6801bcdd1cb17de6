"""Messages in answers of the API: code and parameters, beside their English text."""

from typing import Any, ClassVar

from rest_framework import serializers

from orderflow.messages import Message, as_message, english


class MessageFields(serializers.Serializer[Any]):
    """Fields of a row that has a message in the attribute ``message_in``; empty if it has none."""

    message_in: ClassVar[str]

    code = serializers.SerializerMethodField(help_text="of the message")
    params = serializers.SerializerMethodField(help_text="of the message; a parameter may be a message")

    def get_code(self, row: object) -> str:
        message = self._message(row)
        return message.code if message else ""

    def get_params(self, row: object) -> dict[str, Any]:
        message = self._message(row)
        return message.as_json()["params"] if message else {}

    def english(self, row: object) -> str:
        return english(self._message(row))

    def _message(self, row: object) -> Message | None:
        found: Message | str | None = getattr(row, self.message_in)
        return as_message(found) if found else None
