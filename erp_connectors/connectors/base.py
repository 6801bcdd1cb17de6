"""The connector port: the file format of a connector type. Delivery and acks are written once, against this port.

A connector turns an approved order into bytes, and an ack file into answers. It opens no connection, knows no
database and keeps no state. `docs/connectors.md` explains how to write one.
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
from orderflow.messages import Message, as_message

OptionsT = TypeVar("OptionsT")
# Spelled here, because `type` is an attribute of a connector.
OptionsClass: TypeAlias = type[msgspec.Struct]


class NoOptions(msgspec.Struct, frozen=True):
    """Options of a connector without keys of its own."""


@dataclass(frozen=True, slots=True)
class Schemas:
    """The JSON Schemas (draft 2020-12) of a connector's files, for the programmers of the ERP."""

    export: Mapping[str, Any] | None = None
    ack: Mapping[str, Any] | None = None


class AckUnreadable(ValueError):
    """An ack file can't be understood; ``why`` is for the ERP's programmer: a message, or a text in English.

    ``unfinished``: it may still be being written, so it has more time than one that is complete and wrong.
    """

    def __init__(self, why: Message | str, *, unfinished: bool = False) -> None:
        self.why = as_message(why)
        self.unfinished = unfinished
        super().__init__(self.why)


@dataclass(frozen=True, slots=True)
class AckName:
    """The name of an ack file. ``export_filename``: the export that it answers; empty if only the content says it."""

    export_filename: str = ""


@dataclass(frozen=True, slots=True)
class MisnamedAnswer:
    """A file that is probably an answer; ``filename``: the export file that its name contains, if any."""

    filename: str | None
    expected_name: str


@dataclass(frozen=True, slots=True)
class AckExample:
    """A correct ack file: its name and its content. Both texts are ASCII.

    ``accepted``: True if the file accepts its order, False if it refuses it; None if it holds several answers.
    """

    name: str
    content: str
    accepted: bool | None = None


# Length of the column for the ERP number.
MAX_ORDER_ID = 255


def is_sound(ack: Ack) -> bool:
    """Return True if the answer has an ERP number exactly if it accepts, and the database can store it."""
    texts = [text for text in (ack.erp_order_id, ack.error_code, ack.message, ack.export_filename) if text]
    return (
        bool(ack.erp_order_id) is ack.accepted
        and len(ack.erp_order_id or "") <= MAX_ORDER_ID
        and not any("\0" in text or text.encode("utf-8", "replace").decode() != text for text in texts)
        and (ack.processed_at is None or ack.processed_at.tzinfo is not None)
    )


class Connector(ABC, Generic[OptionsT]):
    # The name under which it is registered, and the version of its files.
    type: ClassVar[str]
    version: ClassVar[str]
    # The media type of its files.
    content_type: ClassVar[str] = "application/octet-stream"
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
    def filename(
        self, draft_order_id: UUID, *, at: datetime, token: str, options: OptionsT | None = None
    ) -> str:
        """Return a name that no other export has; ``at`` is UTC, ``token`` 8 random hex digits.

        ``options`` is None if the connection's config can't be read when the order is pushed.
        """

    def names_export(self, name: str) -> bool:
        """Return True if `filename` could have made this name. Such a file without an export is reported as orphan."""
        return False

    def identify(self, filename: str, body: bytes) -> UUID | None:
        """Return the draft order whose file this is, for a database that was restored without it; None if unknown."""
        return None

    def order_id_prefix(self, filename: str) -> str:
        """Return the hex digits with which the draft order's id begins, for a file that `identify` does not know.

        Empty if the name does not contain them.
        """
        return ""

    @abstractmethod
    def render(self, order: OrderDocument, options: OptionsT) -> bytes:
        """Return the exact bytes of the file, valid by its schema. Raises `Fault` RENDER_FAILED or SCHEMA_VIOLATION."""

    def decode(self, body: bytes, options: OptionsT) -> str:
        """Return the text of a file that `render` made, for a preview."""
        return body.decode("utf-8", "replace")

    def schemas(self) -> Schemas:
        """Return the schemas that the API publishes, and that `validate_export` and `validate_ack` use."""
        return Schemas()

    @abstractmethod
    def acknowledges(self, name: str, options: OptionsT) -> AckName | None:
        """Return which export an ack file answers, by its name alone; None if it is not an ack file of this connector.

        Orgs that share an ack folder need file names that contain that of the export: files of other orgs are not read.
        """

    def misnamed_answer(self, name: str, options: OptionsT) -> MisnamedAnswer | None:
        """Return the expected name for a name that `acknowledges` does not know; None if it is no answer."""
        return None

    def ack_example(self, name: str, options: OptionsT) -> AckExample | None:
        """Return a correct file in place of the malformed ack file of this name, for the ERP's programmer.

        The example may be copied, so it must accept the order only if ``name`` says accepted. Use a placeholder for
        the order file's name if no export can have the one in ``name``.
        """
        return None

    @abstractmethod
    def parse_ack(self, name: str, body: bytes, options: OptionsT) -> list[Ack]:
        """Return all answers in a file, at least one, each sound. Raises `AckUnreadable` if any can't be understood.

        The position of an answer in its file must not depend on the options.
        """
