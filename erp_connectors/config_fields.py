"""The keys of a connection's config: how a connector or a transport declares them, and their conversion.

`connection_config` composes the keys of all parts to one flat config.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

import msgspec

# The headings of a form, in this order; others follow in the order of their fields.
WAY, SERVER, LOGIN, FOLDERS, WRITING, TIMING, PLAN, DATES = GROUPS = (
    "Transport", "Server", "Login", "Folders", "Writing files", "Timeouts",
    "Planned change of keys", "Reminders",
)  # fmt: skip


class Purpose(StrEnum):
    """What a form offers for a field beyond entering its value."""

    PLAIN = "plain"
    MODE = "mode"  # its value decides which fields apply
    PRIVATE_KEY = "private_key"  # a pair can be generated, and its public half shown
    PASSPHRASE = "passphrase"  # noqa: S105  # of the private key
    NEXT_PRIVATE_KEY = "next_private_key"  # offered beside the private key until the server accepts it
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


class ConfigError(ValueError):
    """Problems of a config, by key: ``{"port": "must be between 1 and 65535"}``."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        super().__init__("; ".join(f"{key}: {problem}" for key, problem in problems.items()))


def convert(
    raw: Mapping[str, Any], keys: type[msgspec.Struct], must_be: Mapping[str, str] | None = None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the values of ``raw`` that fit the fields of ``keys``, and a problem for each that does not.

    ``must_be`` replaces msgspec's text for a key. Other keys of ``raw`` are ignored; null counts as absent.
    """
    values: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for field in _fields_of(keys):
        given = raw.get(field.name)
        if given is None:
            if field.required:
                problems[field.name] = "is missing"
            continue
        try:
            values[field.name] = msgspec.convert(given, field.type)
        except msgspec.ValidationError as error:
            problems[field.name] = (must_be or {}).get(field.name) or _plain(error)
    return values, problems


def by_group(fields: Iterable[ConfigField]) -> list[ConfigField]:
    """Sort by the order of `GROUPS`; fields of one group keep their order."""
    order = {group: number for number, group in enumerate(GROUPS)}
    return sorted(fields, key=lambda field: order.get(field.group, len(order)))


_fields_of = cache(msgspec.structs.fields)


def _plain(error: msgspec.ValidationError) -> str:
    # msgspec repeats no value, so a secret of the wrong type can't leak through here.
    return str(error)[:1].lower() + str(error)[1:]
