"""The Connector port: the code behind a connector type. Delivery and acks are written once, against this.

A connector turns an approved order into bytes and an ack file into an answer. It opens no connection, knows
no database and keeps no state. `docs/connectors.md` walks through writing one.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar, cast
from uuid import UUID

import msgspec

from erp_connectors.config_fields import ConfigError, ConfigField, convert
from erp_connectors.port_types import Ack, OrderDocument

OptionsT = TypeVar("OptionsT")
# Spelled here, because `type` is an attribute of a connector.
OptionsClass: TypeAlias = type[msgspec.Struct]


class NoOptions(msgspec.Struct, frozen=True):
    """Of a connector without keys of its own."""


@dataclass(frozen=True, slots=True)
class Schemas:
    """The JSON Schemas (draft 2020-12) of a connector's files, for whoever reads or writes them on the other side."""

    export: Mapping[str, Any] | None = None
    ack: Mapping[str, Any] | None = None


class AckUnreadable(ValueError):
    """An ack file that can't be understood; the text tells the ERP programmer why.

    ``unfinished``: it may still be being written, so it is given more time than one that is complete and wrong.
    """

    def __init__(self, why: str, *, unfinished: bool = False) -> None:
        self.unfinished = unfinished
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class AckName:
    """The name of an answer file; ``export_filename``: the export that it answers, empty if only its content says."""

    export_filename: str = ""


@dataclass(frozen=True, slots=True)
class MisnamedAnswer:
    """A file that is probably an answer; ``filename``: the export file that its name contains, if any."""

    filename: str | None
    expected_name: str


class Connector(ABC, Generic[OptionsT]):
    # The name under which it is registered, and the version of its files.
    type: ClassVar[str]
    version: ClassVar[str]
    # The connector's own keys: a msgspec.Struct with their types, limits and defaults.
    Options: ClassVar[OptionsClass] = NoOptions

    def fields(self) -> Sequence[ConfigField]:
        """Describe the keys of `Options` for forms, API and docs. Folders and the transport have keys of their own."""
        return ()

    def parse(self, raw: Mapping[str, Any]) -> OptionsT:
        """Return the options of a config's own keys, without nulls. Raises `ConfigError` with each wrong key."""
        values, problems = convert(raw, self.Options)
        if problems:
            raise ConfigError(problems)
        return cast("OptionsT", self.Options(**values))

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
    def render(self, order: OrderDocument, options: OptionsT) -> bytes:
        """The file's exact bytes, valid by its schema. Raises `Fault` RENDER_FAILED or SCHEMA_VIOLATION."""

    def schemas(self) -> Schemas:
        """Published by the API, and what `validate_export` and `validate_ack` hold files against."""
        return Schemas()

    @abstractmethod
    def acknowledges(self, name: str, options: OptionsT) -> AckName | None:
        """Return which export an ack file answers, by its name alone; None if it is not an ack file of this connector.

        Orgs that share an ack folder need names that name the export: the others' files are not read.
        """

    def misnamed_answer(self, name: str, options: OptionsT) -> MisnamedAnswer | None:
        """Return the expected name for a name that `acknowledges` does not know; None if it is no answer."""
        return None

    @abstractmethod
    def parse_ack(self, name: str, body: bytes, options: OptionsT) -> list[Ack]:
        """Return all answers in a file, at least one. Raises `AckUnreadable` if any of them can't be understood.

        The position of an answer in its file must not depend on the options.
        """
