"""The Connector port: the code behind a connector type. Delivery and acks are written once, against this.

A connector turns an approved order into bytes and an ack file into an answer. It opens no connection, knows
no database and keeps no state. `docs/connectors.md` walks through writing one.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

from erp_connectors.port_types import Ack, OrderDocument
from erp_connectors.transports.base import Renewed, ServerLimits, TransportOptions

ConfigT = TypeVar("ConfigT")


@dataclass(frozen=True, slots=True)
class Dropzone:
    """Where and how one connection exchanges files.

    A connector leaves ``org_slug`` and ``limits`` (found by earlier runs on the server) to its caller.
    """

    transport: str
    options: TransportOptions
    export_path: str
    ack_path: str | None = None
    atomic_write: bool = True
    done_marker: bool = False
    file_mode: int | None = None
    ack_timeout: timedelta | None = None
    org_slug: str = ""
    limits: ServerLimits = ServerLimits()  # noqa: RUF009  # it is frozen


class Purpose(StrEnum):
    """What a form can do for a field beyond taking its value."""

    PLAIN = "plain"
    MODE = "mode"  # its value decides which fields apply
    PRIVATE_KEY = "private_key"  # a pair can be generated, and its public half shown
    PASSPHRASE = "passphrase"  # noqa: S105  # of the private key
    NEXT_PRIVATE_KEY = "next_private_key"  # offered beside the private key until the server accepts it
    HOST_KEY = "host_key"  # can be fetched from the server, and pinned by a person
    NEXT_HOST_KEY = "next_host_key"  # counts beside the host key for a time
    EXPIRES = "expires"  # a date that people are reminded of
    ENDS_PLAN = "ends_plan"  # a date after which a planned change did not happen
    WEAKENS = "weakens"  # switched on, people are warned


@dataclass(frozen=True, slots=True)
class ConfigField:
    """One key of a connector's config, for forms, API and docs; ``modes`` empty: it applies always.

    ``type`` is string, integer, number, boolean or date (``2026-12-31``).
    ``required`` counts where the field applies. Fields with the same
    ``group`` stand under that heading, those of a ``rare`` one folded away.
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
    least: float | None = None
    most: float | None = None
    lines: int = 1
    sent_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Schemas:
    """The JSON Schemas (draft 2020-12) of a connector's files, for whoever reads or writes them on the other side."""

    export: Mapping[str, Any] | None = None
    ack: Mapping[str, Any] | None = None


class ConfigError(ValueError):
    """What is wrong with a config, by key: ``{"port": "must be between 1 and 65535"}``."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        super().__init__("; ".join(f"{key}: {problem}" for key, problem in problems.items()))


class AckUnreadable(ValueError):
    """An ack file that can't be understood; the text tells the ERP programmer why.

    ``unfinished``: it may still be being written, so it is given more time than one that is complete and wrong.
    """

    def __init__(self, why: str, *, unfinished: bool = False) -> None:
        self.unfinished = unfinished
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class MisnamedAnswer:
    """A file that is probably an answer; ``filename``: the export file that its name contains, if any."""

    filename: str | None
    expected_name: str


class Connector(ABC, Generic[ConfigT]):
    connector_type: ClassVar[str]
    format_version: ClassVar[str]

    @abstractmethod
    def parse_config(self, raw: Mapping[str, Any]) -> ConfigT:
        """Raises `ConfigError` that names each wrong, unknown or missing key."""

    @abstractmethod
    def describe_config(self) -> Sequence[ConfigField]: ...

    @abstractmethod
    def dropzone(self, config: ConfigT) -> Dropzone: ...

    def renew(self, raw: Mapping[str, Any], renewed: Renewed, *, today: date) -> dict[str, Any]:
        """The config once the other side has used what was planned; the old credentials are dropped from it."""
        return dict(raw)

    @abstractmethod
    def filename(self, draft_order_id: UUID, *, at: datetime, token: str) -> str:
        """A name no other export has; ``at`` is UTC, ``token`` 8 random hex digits."""

    def names_export(self, name: str) -> bool:
        """Whether `filename` could have made this name: such a file that no export has is reported as orphaned."""
        return False

    def identify(self, body: bytes) -> UUID | None:
        """The draft order whose file this is, for a database that was restored without it; None: it can't be told."""
        return None

    @abstractmethod
    def render(self, order: OrderDocument) -> bytes:
        """The file's exact bytes, valid by its schema. Raises `Fault` RENDER_FAILED or SCHEMA_VIOLATION."""

    def schemas(self) -> Schemas:
        """Published by the API, and what `validate_export` and `validate_ack` hold files against."""
        return Schemas()

    @abstractmethod
    def acknowledges(self, name: str) -> str | None:
        """The export file name that an ack file's name answers; None: not an ack file of this connector."""

    def misnamed_answer(self, name: str) -> MisnamedAnswer | None:
        """Return the expected name for a name that `acknowledges` does not know; None if it is no answer."""
        return None

    @abstractmethod
    def parse_ack(self, name: str, body: bytes) -> Ack:
        """Raises `AckUnreadable`."""
