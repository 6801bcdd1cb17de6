"""The keys of a config that every connection has, whatever its connector and transport; and the `Dropzone`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from erp_connectors.config_fields import FOLDERS, TIMING, WAY, WRITING, ConfigField, Purpose, convert
from erp_connectors.dropzone_paths import is_absolute, local_folder, normal_folder
from erp_connectors.transports.base import ServerLimits, TransportOptions
from orderflow.messages import Message

MODE = "mode"
AckSeconds = Annotated[int, Meta(ge=60, le=31 * 86400)]
Folder = Annotated[str, Meta(min_length=1, max_length=900)]
Octal = Annotated[str, Meta(pattern="^0?[0-7]{3}$")]
MUST_BE = {"file_mode": Message("config.not_octal")}


@dataclass(frozen=True, slots=True)
class Dropzone:
    """Where and how one connection exchanges files.

    ``options`` are those of the transport, ``format_options`` those of the connector. The caller adds ``org_slug`` and
    ``limits`` (found by earlier runs on the server).
    """

    transport: str
    options: TransportOptions
    export_path: str
    ack_path: str | None = None
    atomic_write: bool = True
    done_marker: bool = False
    file_mode: int | None = None
    ack_timeout: timedelta | None = None
    format_options: object = None
    org_slug: str = ""
    limits: ServerLimits = ServerLimits()  # noqa: RUF009  # it is frozen

    @property
    def one_folder(self) -> bool:
        """Return True if the ERP writes its answers into the folder of the orders."""
        return self.ack_path is not None and PurePosixPath(self.ack_path) == PurePosixPath(self.export_path)


class CommonConfig(msgspec.Struct, frozen=True, kw_only=True):
    export_path: Folder
    ack_path: Folder | None = None
    atomic_write: bool = True
    done_marker: bool = False
    ack_timeout: AckSeconds | None = None
    file_mode: Octal | None = None


def mode_field(choices: Sequence[tuple[str, str]]) -> ConfigField:
    return ConfigField(
        MODE, "string", required=True, default=None, label="Transport", group=WAY, purpose=Purpose.MODE,
        choices=tuple(choices),
        help="Usually an SFTP server. A folder must be on the host that runs OrderFlow, or mounted there.",
    )  # fmt: skip


FIELDS = (
    ConfigField(
        "export_path", "string", required=True, default=None, label="Export folder", group=FOLDERS,
        help="Absolute folder that the ERP reads orders from.",
    ),
    ConfigField(
        "ack_path", "string", required=False, default=None, label="Ack folder", group=FOLDERS,
        help="Absolute folder that the ERP writes its answers to; without it nothing is polled.",
    ),
    ConfigField(
        "atomic_write", "boolean", required=False, default=True, label="Write, then rename",
        group=WRITING, rare=True,
        help="Write a temporary file, then rename it: each order appears exactly once and complete. If "
        "off, each order is written under its final name at least once, and a reader may see part of "
        "it.",
    ),
    ConfigField(
        "done_marker", "boolean", required=False, default=False, label="Marker after each file", group=WRITING,
        rare=True,
        help="After each file, write an empty one named {filename}.done, for an ERP that reads a file only once its "
        "marker is there. With atomic_write off, such an ERP never sees part of a file either.",
    ),
    ConfigField(
        "file_mode", "string", required=False, default=None, label="Permission bits", group=WRITING, rare=True,
        help="Permission bits of the published file in octal, like 0640.",
    ),
    ConfigField(
        "ack_timeout", "integer", required=False, default=None, label="Overdue after", group=TIMING, rare=True,
        minimum=60, maximum=31 * 86400, help="Seconds after which a sent order without an answer counts as overdue.",
    ),
)  # fmt: skip


def parse(raw: Mapping[str, Any]) -> tuple[CommonConfig | None, dict[str, Message]]:
    """Return the common part, and what is wrong by key; the part is None if anything is."""
    values, problems = convert(raw, CommonConfig, MUST_BE)
    for name in ("export_path", "ack_path"):
        if name not in values:
            continue
        if not (is_absolute(values[name]) and values[name].isprintable()):
            problems[name] = Message("config.not_an_absolute_path")
    return (None if problems else CommonConfig(**values)), problems


def dropzone(
    mode: str, options: TransportOptions, common: CommonConfig, format_options: object = None
) -> Dropzone:
    folder = local_folder if options.on_this_machine else normal_folder
    return Dropzone(
        transport=mode,
        options=options,
        export_path=folder(common.export_path),
        ack_path=folder(common.ack_path) if common.ack_path else None,
        atomic_write=common.atomic_write,
        done_marker=common.done_marker,
        file_mode=int(common.file_mode, 8) if common.file_mode else None,
        ack_timeout=timedelta(seconds=common.ack_timeout) if common.ack_timeout else None,
        format_options=format_options,
    )
