"""The texts of the SFTP engine as messages."""

from datetime import date

from django.utils.formats import date_format

from erp_connectors.sftp.errors import SshError
from erp_connectors.sftp.texts import TEMPLATES, Text
from orderflow.messages import Message, Template, register, several


def _day(value: str) -> str:
    return date_format(date.fromisoformat(value), "DATE_FORMAT")


register({code: Template(sentence, formats={"day": _day}) for code, sentence in TEMPLATES.items()})


def explanation(error: SshError) -> Message | None:
    """Return the texts of an error."""
    return several([_message(text) for text in error.texts])


def _message(text: Text) -> Message:
    params = {
        name: _message(value) if isinstance(value, Text) else value for name, value in text.params.items()
    }
    return Message(text.code, **params)
