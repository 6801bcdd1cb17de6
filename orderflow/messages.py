"""Messages as data: a code and parameters. Their text is made when they are shown, in the reader's language.

Rows, exceptions and reports hold a `Message`. A module with templates registers them; a test compares the registered
codes and parameters with those that the code uses.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias

from django.utils import translation

Param: TypeAlias = "str | int | Message | Sequence[Message] | None"
Format: TypeAlias = Callable[[Any], str]

# Text of another program or of a user. It is shown as it is.
FOREIGN_TEXT = "text"
# Several messages in place of one.
SEVERAL = "several"
# Characters of a text parameter that are kept: another program may say any amount.
MAX_TEXT = 4_000
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True, init=False)
class Message:
    """A template's code and its parameters, which JSON can hold: a status is its value, a duration its seconds."""

    code: str
    params: Mapping[str, Param]

    def __init__(self, code: str, /, **params: Param) -> None:
        object.__setattr__(self, "code", code)
        object.__setattr__(self, "params", params)

    def __hash__(self) -> int:
        return hash(self.code)

    def __str__(self) -> str:
        return english(self)

    def as_json(self) -> dict[str, Any]:
        """Return what databases and JSON can hold, see `storable`."""
        return {"code": self.code, "params": {name: _to_json(value) for name, value in self.params.items()}}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        params = value.get("params") or {}
        return cls(value["code"], **{name: _from_json(one) for name, one in params.items()})


@dataclass(frozen=True, slots=True)
class Template:
    """The English text of a code, which is the key of its translations.

    ``plural``: the text if the parameter ``n`` is not 1. ``before`` and ``optional``: what precedes and follows the
    text for each of these parameters that is given and not empty. ``formats``: how to write a parameter.
    """

    text: str
    plural: str = ""
    before: Mapping[str, str] = field(default_factory=dict)
    optional: Mapping[str, str] = field(default_factory=dict)
    formats: Mapping[str, Format] = field(default_factory=dict)


TEMPLATES: dict[str, Template] = {
    FOREIGN_TEXT: Template("", optional={"text": "%(text)s"}),
}


def register(templates: Mapping[str, Template | str]) -> None:
    """Add templates by code. Raises `ValueError` if a code has another template."""
    for code, given in templates.items():
        template = Template(given) if isinstance(given, str) else given
        if TEMPLATES.setdefault(code, template) != template:
            raise ValueError(f"The message {code!r} is registered twice.")


def text(message: Message | None) -> str:
    """Return the text in the active language, empty for None.

    A code that nothing registers is shown with its parameters.
    """
    if message is None:
        return ""
    template = TEMPLATES.get(message.code)
    if template is None:
        # A connector that has stored it may have been removed.
        shown = ", ".join(f"{name}: {_written(value)}" for name, value in message.params.items())
        return f"{message.code} ({shown})" if shown else message.code
    values = _Values((name, _formatted(template, name, value)) for name, value in message.params.items())
    parts = _present(template.before, message)
    parts += [_translated(template, message)] if template.text else []
    parts += _present(template.optional, message)
    return " ".join(part % values for part in parts)


def english(message: Message | None) -> str:
    """Return the text in English, for logs, the API, and files that the ERP's programmers read."""
    with translation.override("en"):
        return text(message)


class Refusal(Exception):
    """An error for the user: nothing was changed; ``message`` says why and what to do."""

    def __init__(self, message: Message) -> None:
        self.message = message
        super().__init__(message)


def as_message(given: Message | str) -> Message:
    """Return a text as `foreign` does, a message as it is."""
    return foreign(given) if isinstance(given, str) else given


def foreign(what: str) -> Message:
    """Return text of another program or of a user as a message, see `storable`."""
    return Message(FOREIGN_TEXT, text=storable(what))


def sentences(messages: Sequence[Message]) -> str:
    """Return the texts of messages that are sentences, in the active language."""
    return " ".join(map(text, messages))


def several(messages: Sequence[Message]) -> Message | None:
    """Return messages, each a sentence, as one; None if there are none."""
    if len(messages) > 1:
        return Message(SEVERAL, messages=tuple(messages))
    return messages[0] if messages else None


def storable(given: str) -> str:
    """Return text of another program as databases and JSON can hold it: shortened, U+FFFD for what they refuse."""
    return _UNSTORABLE.sub("\ufffd", given[:MAX_TEXT])


class _Values(dict[str, str]):
    def __missing__(self, name: str) -> str:
        # A row of another version of the program; a page with a gap is better than none.
        return "?"


def _present(parts: Mapping[str, str], message: Message) -> list[str]:
    return [translation.gettext(part) for name, part in parts.items() if message.params.get(name)]


def _translated(template: Template, message: Message) -> str:
    if not template.plural:
        return translation.gettext(template.text)
    n = message.params.get("n")
    return translation.ngettext(template.text, template.plural, n if isinstance(n, int) else 0)


def _formatted(template: Template, name: str, value: Param) -> str:
    try:
        return template.formats.get(name, _written)(value)
    except (AttributeError, TypeError, ValueError):
        # A row of another version of the program.
        return _written(value)


def _written(value: object) -> str:
    if isinstance(value, Message):
        return text(value)
    if isinstance(value, list | tuple):
        return "; ".join(map(_written, value))
    return "" if value is None else str(value)


def _to_json(value: Param) -> Any:
    if isinstance(value, Message):
        return value.as_json()
    if isinstance(value, list | tuple):
        return [_to_json(one) for one in value]
    return storable(value) if isinstance(value, str) else value


def _from_json(value: Any) -> Param:
    if isinstance(value, dict) and "code" in value:
        return Message.from_json(value)
    if isinstance(value, list):
        return tuple(map(_from_json, value))  # type: ignore[arg-type]  # messages
    return value  # type: ignore[no-any-return]  # as JSON holds it


register({SEVERAL: Template("", optional={"messages": "%(messages)s"}, formats={"messages": sentences})})
