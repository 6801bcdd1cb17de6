"""The keys of a connection's config: how a connector or a transport declares them, and their conversion.

`connection_config` composes the keys of all parts to one flat config.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

from orderflow.messages import Message, as_message, foreign

# The headings of a form, in this order; others follow in the order of their fields.
WAY, SERVER, LOGIN, HOP, FOLDERS, WRITING, TIMING, PLAN, DATES = GROUPS = (
    "Transport", "Server", "Login", "Jump host or proxy", "Folders", "Writing files", "Timeouts",
    "Planned change of keys", "Reminders",
)  # fmt: skip


class Purpose(StrEnum):
    """What a form offers for a field beyond entering its value."""

    PLAIN = "plain"
    MODE = "mode"  # its value decides which fields apply
    PRIVATE_KEY = "private_key"  # a pair can be generated, and its public half shown
    PASSPHRASE = "passphrase"  # noqa: S105  # of the private key
    NEXT_PRIVATE_KEY = "next_private_key"  # offered beside the private key until the server accepts it
    HOP_PRIVATE_KEY = "hop_private_key"  # for a jump host: a pair can be generated, and its public half shown
    HOP_PASSPHRASE = "hop_passphrase"  # noqa: S105  # of that private key
    HOP_HOST_KEY = "hop_host_key"  # of a jump host: can be fetched and pinned, too
    HOST_KEY = "host_key"  # can be fetched from the server, and pinned by a person
    NEXT_HOST_KEY = "next_host_key"  # counts beside the host key for a time
    EXPIRES = "expires"  # a date with a reminder
    ENDS_PLAN = "ends_plan"  # a date after which a planned change did not happen
    WEAKENS = "weakens"  # shows a warning if switched on


@dataclass(frozen=True, slots=True)
class ConfigField:
    """One key of the config, for forms, API and docs.

    ``type`` is string, integer, number, boolean or date (``2026-12-31``).
    ``required`` counts where the field applies. ``modes`` is set by the composition: the transports that have this
    key; empty: it applies always. Fields with the same ``group`` stand under that heading, those of a ``rare`` one
    folded away.
    ``applies_if``: another field, which has ``choices``, and the values of it with which this one applies.
    ``sent_to``, for a secret that is sent to a server: the fields that decide where it is sent. If one of them
    changes, the stored secret is not kept. A secret that stays with us, like a private key, has none.
    """

    name: str
    type: str
    required: bool
    default: Any
    help: str
    secret: bool = False
    modes: tuple[str, ...] = ()
    label: str = ""
    group: str = ""
    rare: bool = False
    purpose: Purpose = Purpose.PLAIN
    choices: tuple[tuple[str, str], ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    lines: int = 1
    sent_to: tuple[str, ...] = ()
    applies_if: tuple[str, tuple[str, ...]] | None = None

    def applies(self, config: Mapping[str, Any]) -> bool:
        """Return True if the values of other fields, without that of the mode, leave this one applicable."""
        if self.applies_if is None:
            return True
        name, values = self.applies_if
        return config.get(name) in values


class ConfigError(ValueError):
    """Problems of a config, by key: ``{"port": Message("config.missing")}``. A text is shown as it is."""

    def __init__(self, problems: Mapping[str, Message | str]) -> None:
        self.problems = {key: as_message(problem) for key, problem in problems.items()}
        super().__init__("; ".join(f"{key}: {problem}" for key, problem in self.problems.items()))

    def as_message(self) -> Message:
        """Return all problems as one sentence."""
        found = [Message("config.problem", key=key, problem=one) for key, one in self.problems.items()]
        return Message("config.problems", problems=found)


def convert(
    raw: Mapping[str, Any], keys: type[msgspec.Struct], must_be: Mapping[str, Message] | None = None
) -> tuple[dict[str, Any], dict[str, Message]]:
    """Return the values of ``raw`` that fit the fields of ``keys``, and a problem for each that does not.

    ``must_be`` replaces the message about a key's type and limits. Other keys of ``raw`` are ignored; null
    counts as absent.
    """
    values: dict[str, Any] = {}
    problems: dict[str, Message] = {}
    for field in _fields_of(keys):
        given = raw.get(field.name)
        if given is None:
            if field.required:
                problems[field.name] = Message("config.missing")
            continue
        try:
            values[field.name] = msgspec.convert(given, field.type)
        except msgspec.ValidationError as error:
            problems[field.name] = (must_be or {}).get(field.name) or _must_be(field.type, error)
    return values, problems


def by_group(fields: Iterable[ConfigField]) -> list[ConfigField]:
    """Sort by the order of `GROUPS`; fields of one group keep their order."""
    order = {group: number for number, group in enumerate(GROUPS)}
    return sorted(fields, key=lambda field: order.get(field.group, len(order)))


_fields_of = cache(msgspec.structs.fields)


def _must_be(annotation: Any, error: msgspec.ValidationError) -> Message:
    """Return the type and the limits of a value. The value is not repeated, because it may be a secret."""
    kind = inspect.type_info(annotation)
    if isinstance(kind, inspect.UnionType):
        others = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
        kind = others[0] if len(others) == 1 else kind
    match kind:
        case inspect.BoolType():
            return Message("config.not_boolean")
        case inspect.DateType():
            return Message("config.not_a_date")
        case inspect.IntType():
            return Message("config.not_an_integer", limits=_range(kind))
        case inspect.FloatType():
            return Message("config.not_a_number", limits=_range(kind))
        case inspect.StrType():
            return Message("config.not_a_text", limits=_lengths(kind))
    # msgspec repeats no value either.
    return foreign(str(error)[:1].lower() + str(error)[1:])


def _range(kind: inspect.IntType | inspect.FloatType) -> list[Message]:
    bounds = [
        (kind.ge, Message("config.at_least", n=_number(kind.ge))),
        (kind.gt, Message("config.above", n=_number(kind.gt))),
        (kind.le, Message("config.at_most", n=_number(kind.le))),
        (kind.lt, Message("config.below", n=_number(kind.lt))),
    ]
    return [message for bound, message in bounds if bound is not None]


def _lengths(kind: inspect.StrType) -> list[Message]:
    bounds = [
        (kind.min_length, Message("config.characters_at_least", number=kind.min_length)),
        (kind.max_length, Message("config.characters_at_most", number=kind.max_length)),
        (kind.pattern, Message("config.pattern", pattern=kind.pattern)),
    ]
    return [message for bound, message in bounds if bound is not None]


def _number(bound: float | None) -> str:
    return "" if bound is None else str(int(bound) if bound == int(bound) else bound)
