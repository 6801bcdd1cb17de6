"""The config of ``DROPZONE_JSON_V1``: its keys and their checks. What they mean to a person: `description`."""

import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from erp_connectors.connectors.base import ConfigError, Dropzone
from erp_connectors.connectors.dropzone_json_v1 import description
from erp_connectors.connectors.dropzone_json_v1.description import FILESYSTEM, SFTP
from erp_connectors.connectors.dropzone_json_v1.renewal import key_lines
from erp_connectors.transports.base import FilesystemOptions, PlannedKey, SftpOptions, TransportOptions

HOST_KEY_LINE = re.compile(r"(?:\S+ )?(?:ssh-|ecdsa-|sk-)\S+ [A-Za-z0-9+/=]+(?: .*)?")

Port = Annotated[int, Meta(ge=1, le=65535)]
Seconds = Annotated[float, Meta(gt=0, le=600)]
AckSeconds = Annotated[int, Meta(ge=60, le=31 * 86400)]
Word = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^\S+$")]
Secret = Annotated[str, Meta(min_length=1, max_length=20_000)]
Folder = Annotated[str, Meta(min_length=1, max_length=900)]
Day = date
Octal = Annotated[str, Meta(pattern="^0?[0-7]{3}$")]


class DropzoneConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    mode: Literal["sftp", "filesystem"]
    export_path: Folder
    ack_path: Folder | None = None
    host: Word | None = None
    port: Port = 22
    username: Word | None = None
    password: Secret | None = None
    ssh_key: Secret | None = None
    ssh_key_passphrase: Secret | None = None
    host_key: Secret | None = None
    next_host_key: Secret | None = None
    next_host_key_from: Day | None = None
    next_host_key_until: Day | None = None
    old_host_key: Secret | None = None
    old_host_key_until: Day | None = None
    next_ssh_key: Secret | None = None
    host_key_expires: Day | None = None
    ssh_key_expires: Day | None = None
    password_expires: Day | None = None
    legacy_algorithms: bool = False
    atomic_write: bool = True
    done_marker: bool = False
    connect_timeout: Seconds = 10.0
    io_timeout: Seconds = 30.0
    ack_timeout: AckSeconds | None = None
    file_mode: Octal | None = None

    def __repr__(self) -> str:
        return f"DropzoneConfig(mode={self.mode!r}, host={self.host!r}, export_path={self.export_path!r})"


_SFTP_ONLY = tuple(field.name for field in description.FIELDS if field.modes)
_MUST_BE: dict[str, str] = {
    "mode": "must be sftp or filesystem",
    "host": "must be a host name or address, nothing else",
    "username": "must be one word, without spaces and hidden characters",
    **dict.fromkeys(
        (
            "next_host_key_from",
            "next_host_key_until",
            "old_host_key_until",
            "host_key_expires",
            "ssh_key_expires",
            "password_expires",
        ),
        "must be a date like 2026-12-31",
    ),
    "file_mode": "must be three octal digits, like 0640",
}
# Either is shown and logged, and a host is looked up: no control characters, and none that hide or turn letters round.
_HIDDEN = r"\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff"
_ODD = {"host": re.compile(rf"[{_HIDDEN}/@\\?#]"), "username": re.compile(rf"[{_HIDDEN}]")}
_FIELDS = {field.name: field for field in msgspec.structs.fields(DropzoneConfig)}


def parse(raw: Mapping[str, Any]) -> DropzoneConfig:
    """Raises `ConfigError` with every wrong key; a null value counts as absent."""
    given = {key: value for key, value in raw.items() if value is not None}
    problems = {key: "is not a key of this connector" for key in given if key not in _FIELDS}
    values: dict[str, Any] = {}
    for name, field in _FIELDS.items():
        if name in given:
            try:
                values[name] = msgspec.convert(given[name], field.type)
            except msgspec.ValidationError as error:
                problems[name] = _MUST_BE.get(name) or _plain(error)
        elif field.required:
            problems[name] = "is missing"
    problems |= _cross_checks(values, problems)
    if problems:
        raise ConfigError(problems)
    return DropzoneConfig(**values)


def dropzone(config: DropzoneConfig) -> Dropzone:
    return Dropzone(
        transport=config.mode,
        options=_options(config),
        export_path=config.export_path,
        ack_path=config.ack_path,
        atomic_write=config.atomic_write,
        done_marker=config.done_marker,
        file_mode=int(config.file_mode, 8) if config.file_mode else None,
        ack_timeout=timedelta(seconds=config.ack_timeout) if config.ack_timeout else None,
    )


def _options(config: DropzoneConfig) -> TransportOptions:
    if config.mode == FILESYSTEM:
        return FilesystemOptions()
    return SftpOptions(
        host=config.host or "",
        port=config.port,
        username=config.username or "",
        host_keys=key_lines(config.host_key),
        planned_keys=tuple(_planned(config)),
        next_ssh_key=config.next_ssh_key,
        password=config.password,
        ssh_key=config.ssh_key,
        ssh_key_passphrase=config.ssh_key_passphrase,
        connect_timeout=config.connect_timeout,
        io_timeout=config.io_timeout,
        legacy_algorithms=config.legacy_algorithms,
    )


def _planned(config: DropzoneConfig) -> Iterator[PlannedKey]:
    for line in key_lines(config.next_host_key):
        yield PlannedKey(line, config.next_host_key_from, config.next_host_key_until)
    for line in key_lines(config.old_host_key):
        yield PlannedKey(line, until=config.old_host_key_until)


def _cross_checks(values: Mapping[str, Any], known: Mapping[str, str]) -> dict[str, str]:
    problems = {}
    for name in ("export_path", "ack_path"):
        if name in values and not _absolute(values[name]):
            problems[name] = "must be an absolute path like /dropzone/in, without '..'"
    problems |= {name: _MUST_BE[name] for name, odd in _ODD.items() if odd.search(values.get(name, ""))}
    if values.get("mode") == FILESYSTEM:
        problems |= {key: "applies only to mode sftp" for key in _SFTP_ONLY if key in values}
    if values.get("mode") == SFTP:
        problems |= {
            key: "is needed in mode sftp" for key in ("host", "username") if key not in {**values, **known}
        }
        if not {"password", "ssh_key"} & {*values, *known}:
            problems |= {"password": "enter a password, or better an ssh_key"}
    return problems | _key_problems(values) | _plan_problems(values)


def _key_problems(values: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: "must be public keys like 'ssh-ed25519 AAAA…', one a line"
        for name in ("host_key", "next_host_key", "old_host_key")
        if not all(HOST_KEY_LINE.fullmatch(line) for line in key_lines(values.get(name)))
    }


def _plan_problems(values: Mapping[str, Any]) -> dict[str, str]:
    since, until = values.get("next_host_key_from"), values.get("next_host_key_until")
    problems = {}
    if (since or until) and "next_host_key" not in values:
        problems["next_host_key"] = "is needed where its dates are given"
    if since and until and until < since:
        problems["next_host_key_until"] = "is before the first day"
    if "old_host_key" in values and "old_host_key_until" not in values:
        problems["old_host_key_until"] = "is needed: until when does the old key count?"
    return problems


def _absolute(path: str) -> bool:
    pure = PurePosixPath(path)
    return pure.is_absolute() and ".." not in pure.parts and path.isprintable()


def _plain(error: msgspec.ValidationError) -> str:
    # msgspec repeats no value, so a secret of the wrong type can't leak through here.
    return str(error)[:1].lower() + str(error)[1:]
