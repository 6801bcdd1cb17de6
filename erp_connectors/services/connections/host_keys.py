"""Fetch the host keys of a server, and pin those that a user has confirmed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from erp_connectors.config_fields import ConfigField, Purpose
from erp_connectors.connection_config import applies, config_fields
from erp_connectors.dropzones import dropzone_of
from erp_connectors.faults import Fault
from erp_connectors.models import ERPConnection
from erp_connectors.port_types import MissingKey, PresentedKey
from erp_connectors.registry import open_transport
from erp_connectors.sftp.errors import HostKeyUnknown
from erp_connectors.sftp.keys import parse_host_key
from erp_connectors.ssh_messages import explanation
from orderflow.messages import Message


@dataclass(frozen=True, slots=True)
class Comparison:
    """The pinned host keys and those that the server presents now."""

    pinned: tuple[PresentedKey, ...]
    presented: tuple[PresentedKey, ...]
    announced: tuple[PresentedKey, ...] = ()
    missing: tuple[MissingKey, ...] = ()

    @property
    def matching(self) -> tuple[PresentedKey, ...]:
        return tuple(key for key in self.presented if key in self.pinned)

    @property
    def new(self) -> tuple[PresentedKey, ...]:
        return tuple(key for key in self.presented if key not in self.pinned)

    @property
    def changed(self) -> bool:
        """Something is pinned, and the server proves itself neither by it nor by what was announced.

        False while a key of a pinned type could not be shown: it may be the pinned one.
        """
        unknown = {key.type for key in self.pinned} & {key.type for key in self.missing}
        known = self.matching or {*self.announced} & {*self.presented}
        return bool(self.pinned) and not known and not unknown


@dataclass(frozen=True, slots=True)
class PlannedHostKey:
    """A key that counts for a time; ``counts``: today it does."""

    type: str
    fingerprint: str
    since: date | None
    until: date | None
    counts: bool


def compare(connection: ERPConnection, field: str = "") -> Comparison:
    """Ask the server for its keys, sending nothing else to it. Raises `Fault`.

    ``field``: the config's key that pins a jump host's keys, to ask that instead.
    """
    transport = open_transport(dropzone_of(connection))
    try:
        found = transport.presented_keys(field) if field else transport.presented_keys()
    finally:
        transport.close()
    if field:
        return Comparison(pinned_keys_of(connection, field), found.shown, missing=found.missing)
    return Comparison(pinned_keys(connection), found.shown, announced_keys(connection), found.missing)


def pinned_keys_of(connection: ERPConnection, field: str) -> tuple[PresentedKey, ...]:
    """Return the keys that are pinned in one of the config's keys. Raise `Fault` CONFIG_UNREADABLE."""
    return tuple(read_keys(connection.config.get(field)))


def pinned_keys(connection: ERPConnection) -> tuple[PresentedKey, ...]:
    """Return the pinned keys of the server, without those of a jump host. Raise `Fault` CONFIG_UNREADABLE."""
    texts = [
        connection.config.get(name) for name in host_key_names(connection.connector_type, Purpose.HOST_KEY)
    ]
    return tuple(key for text in texts for key in read_keys(text))


def announced_keys(connection: ERPConnection) -> tuple[PresentedKey, ...]:
    """Return the keys that are valid for a period, past or future included. Raise `Fault` CONFIG_UNREADABLE."""
    texts = [
        connection.config.get(name)
        for name in host_key_names(connection.connector_type, Purpose.NEXT_HOST_KEY)
    ]
    return tuple(key for text in texts for key in read_keys(text))


def planned_keys(connection: ERPConnection, *, today: date) -> list[PlannedHostKey]:
    """Return the keys that are valid for a period, with its days. Empty if the config can't be used."""
    try:
        planned = dropzone_of(connection).options.planned_host_keys()
    except Fault:
        return []
    return [
        PlannedHostKey(key.type, key.fingerprint, one.since, one.until, one.counts(today))
        for one in planned
        for key in read_keys(one.line)
    ]


def read_keys(text: str | None) -> list[PresentedKey]:
    """Return the keys in a config's value. Skip lines that are no key."""
    keys = []
    for line in _lines(text):
        try:
            key = parse_host_key(line)
        except HostKeyUnknown:
            continue
        keys.append(PresentedKey(key.type, key.fingerprint, key.line))
    return keys


def fingerprints(text: str | None) -> list[str]:
    return [f"{key.type} {key.fingerprint}" for key in read_keys(text)]


def unreadable_line(text: str) -> Message | None:
    """Return the problem of the first line that is no key."""
    for line in _lines(text):
        try:
            parse_host_key(line)
        except HostKeyUnknown as error:
            return explanation(error)
    return None


def as_config(keys: Sequence[PresentedKey]) -> str:
    return "\n".join(key.line for key in keys)


def host_key_names(connector_type: str, *purposes: Purpose) -> list[str]:
    """Return the config's keys that hold host keys of these purposes. Raises `UnknownConnectorType`."""
    return [field.name for field in config_fields(connector_type) if field.purpose in purposes]


def host_key_fields(connector_type: str, config: Mapping[str, Any]) -> list[ConfigField]:
    """Return the fields that must hold a pinned key: that of the server, then that of a jump host.

    Raises `UnknownConnectorType`.
    """
    wanted = [field for field in config_fields(connector_type) if applies(field, config)]
    purposes = (Purpose.HOST_KEY, Purpose.HOP_HOST_KEY)
    return [field for purpose in purposes for field in wanted if field.purpose is purpose]


def lacks_host_key(connection: ERPConnection) -> bool:
    """Return True if nothing is pinned where the config needs it. Raise `Fault` CONFIG_UNREADABLE."""
    config = connection.config
    return not all(config.get(field.name) for field in host_key_fields(connection.connector_type, config))


def _lines(text: str | None) -> list[str]:
    return [line.strip() for line in (text or "").splitlines() if line.strip()]
