"""The keys of the SFTP transport and their checks. What they mean to a person: `fields`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import Annotated, Any, Literal
from unicodedata import normalize

import msgspec
from msgspec import Meta

from erp_connectors.config_fields import ConfigError, convert
from erp_connectors.sftp.errors import HostKeyUnknown
from erp_connectors.sftp.keys import parse_host_key
from erp_connectors.transports.base import PlannedKey
from erp_connectors.transports.sftp.hop_config import CHOICES, hop_options, hop_problems
from erp_connectors.transports.sftp.options import SftpOptions
from erp_connectors.transports.sftp.renewal import key_lines
from orderflow.messages import Message

Port = Annotated[int, Meta(ge=1, le=65535)]
Seconds = Annotated[float, Meta(gt=0, le=600)]
Word = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^\S+$")]
Secret = Annotated[str, Meta(min_length=1, max_length=20_000)]
Day = date


class SftpConfig(msgspec.Struct, frozen=True, kw_only=True):
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
    via: Literal["direct", "jump_host", "http_proxy", "socks5_proxy"] = "direct"
    via_host: Word | None = None
    via_port: Port | None = None
    via_host_key: Secret | None = None
    via_username: Word | None = None
    via_ssh_key: Secret | None = None
    via_ssh_key_passphrase: Secret | None = None
    via_password: Secret | None = None
    connect_timeout: Seconds = 10.0
    io_timeout: Seconds = 30.0

    def __repr__(self) -> str:
        return f"SftpConfig(host={self.host!r})"


_MUST_BE = {
    "host": Message("config.not_a_host"),
    "username": Message("config.not_one_word"),
    "via": Message("config.not_a_choice", choices=" / ".join(CHOICES)),
    "via_host": Message("config.not_a_host"),
    "via_username": Message("config.not_one_word"),
}
# Either is shown and logged, and a host is looked up: no control characters, and none that hide or turn letters round.
_HIDDEN = r"\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff"
_ODD_HOST, _ODD_NAME = re.compile(rf"[{_HIDDEN}/@\\?#]"), re.compile(rf"[{_HIDDEN}]")
_ODD = {"host": _ODD_HOST, "via_host": _ODD_HOST, "username": _ODD_NAME, "via_username": _ODD_NAME}


def parse(raw: Mapping[str, Any]) -> SftpOptions:
    """Raises `ConfigError` with every wrong key."""
    values, problems = convert(raw, SftpConfig, _MUST_BE)
    problems |= _cross_checks(values, problems)
    if problems:
        raise ConfigError(problems)
    return replace(_options(SftpConfig(**values)), hop=hop_options(values))


def _options(config: SftpConfig) -> SftpOptions:
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


def _planned(config: SftpConfig) -> Iterator[PlannedKey]:
    for line in key_lines(config.next_host_key):
        yield PlannedKey(line, config.next_host_key_from, config.next_host_key_until)
    for line in key_lines(config.old_host_key):
        yield PlannedKey(line, until=config.old_host_key_until)


def _cross_checks(values: Mapping[str, Any], known: Mapping[str, Message]) -> dict[str, Message]:
    # Wide letters count as what they mean: a wide @ in a host is an @.
    problems = {
        name: _MUST_BE[name]
        for name, odd in _ODD.items()
        if odd.search(normalize("NFKC", values.get(name, "")))
    }
    problems |= {
        key: Message("config.needed_for_sftp")
        for key in ("host", "username")
        if key not in {**values, **known}
    }
    if not {"password", "ssh_key"} & {*values, *known}:
        problems |= {"password": Message("config.no_credential")}
    problems |= hop_problems(values, known)
    return problems | _key_problems(values) | _plan_problems(values)


def _key_problems(values: Mapping[str, Any]) -> dict[str, Message]:
    return {
        name: Message("config.not_public_keys")
        for name in ("host_key", "next_host_key", "old_host_key", "via_host_key")
        if not all(_is_host_key(line) for line in key_lines(values.get(name)))
    }


def _is_host_key(line: str) -> bool:
    try:
        parse_host_key(line)
    except HostKeyUnknown:
        return False
    return True


def _plan_problems(values: Mapping[str, Any]) -> dict[str, Message]:
    since, until = values.get("next_host_key_from"), values.get("next_host_key_until")
    problems: dict[str, Message] = {}
    if (since or until) and "next_host_key" not in values:
        problems["next_host_key"] = Message("config.needed_with_dates")
    if since and until and until < since:
        problems["next_host_key_until"] = Message("config.ends_before_start")
    if "old_host_key" in values and "old_host_key_until" not in values:
        problems["old_host_key_until"] = Message("config.old_key_end_missing")
    return problems
