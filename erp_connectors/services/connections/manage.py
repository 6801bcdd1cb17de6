"""Set up, change and disable a connection; every change is checked and audited."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from erp_connectors import sessions
from erp_connectors.common_fields import Dropzone
from erp_connectors.config_fields import ConfigError, Purpose
from erp_connectors.connection_config import config_fields, parse_config
from erp_connectors.dropzones import dropzone_of
from erp_connectors.faults import CONNECTOR_UNKNOWN, Fault
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.registry import UnknownConnectorType
from erp_connectors.services.connections.ack_folders import retry_moves
from erp_connectors.services.connections.allowed_folders import require_allowed_folders
from erp_connectors.services.connections.exclusive_folders import require_own_folders
from erp_connectors.services.connections.host_keys import fingerprints, host_key_names
from erp_connectors.states import ConnectionStatus, ExportStatus
from orderflow.audit.models import Action
from orderflow.audit.services import Entry, record
from orderflow.messages import Message, Refusal
from orderflow.tenancy.models import Org, User

UNCHANGED = "********"
# Keys of servers that a user has confirmed.
PINNED = (Purpose.HOST_KEY, Purpose.NEXT_HOST_KEY, Purpose.HOP_HOST_KEY)


class ConnectionConflict(Refusal):
    """The change conflicts with other rows. Nothing was changed."""


def create_connection(
    org: Org, connector_type: str, config: Mapping[str, Any], *, actor: User | None
) -> ERPConnection:
    """Create a connection.

    Raises `ConfigError`, `UnknownConnectorType`, or `ConnectionConflict` for a second active one.
    """
    check_folders(org, parse_config(connector_type, config))
    connection = ERPConnection(org=org, connector_type=connector_type, config=dict(config))
    _date_secrets(connection, {})
    with transaction.atomic():
        _save(connection, new_config=True)
        _audit(connection, Action.CONNECTION_CREATED, actor, changed=sorted(config))
        _audit_pinned(connection, {}, actor)
    return connection


def change_connection(
    connection_id: UUID,
    *,
    actor: User | None,
    config: Mapping[str, Any] | None = None,
    status: str | None = None,
    reason: str = "",
) -> ERPConnection:
    """Replace the config, the status, or both. Raises as `create_connection`, and `ConnectionConflict` where
    exports that are staged at the present destination would be left behind."""
    with transaction.atomic():
        connection = ERPConnection.objects.select_for_update().get(pk=connection_id)
        before, folders_before = _readable(connection), _folders_in_use(connection)
        changed = _new_config(connection, config) if config is not None else []
        if status is not None and status != connection.status:
            connection.status = status
            changed.append("status")
        if not changed:
            return connection
        if _folders_in_use(connection) != folders_before:
            _require_own_folders(connection)
        _save(connection, new_config=changed != ["status"])
        disabled = "status" in changed and connection.status == ConnectionStatus.DISABLED
        _audit(
            connection,
            Action.CONNECTION_DISABLED if disabled else Action.CONNECTION_CHANGED,
            actor,
            changed=changed,
            reason=reason,
        )
        if config is not None:
            _audit_pinned(connection, before, actor, reason=reason)
    return connection


def public_config(connection: ERPConnection) -> dict[str, Any]:
    """Return the config with each secret masked. Raises `Fault` CONFIG_UNREADABLE or CONNECTOR_UNKNOWN."""
    try:
        described = config_fields(connection.connector_type)
    except UnknownConnectorType as error:
        raise Fault(CONNECTOR_UNKNOWN, error.message) from None
    # A key that no part has may be the secret of a transport whose package was removed.
    shown = {field.name for field in described if not field.secret}
    return {
        key: value if key in shown or not value else UNCHANGED for key, value in connection.config.items()
    }


def with_kept_secrets(connection: ERPConnection, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a submitted config with the stored value for each masked secret.

    Raises `ConfigError` if no key opens what is stored, or if the change would send a kept secret elsewhere.
    """
    secrets = _secret_names(connection)
    masked = sorted(name for name in secrets if config.get(name) == UNCHANGED)
    try:
        stored = connection.config if masked else {}
    except Fault:
        raise ConfigError(dict.fromkeys(masked, Message("config.secret_unreadable"))) from None
    _refuse_sent_elsewhere(connection.connector_type, stored, config, masked)
    return {
        key: stored.get(key) if key in secrets and value == UNCHANGED else value
        for key, value in config.items()
    }


def secrets_sent_elsewhere(
    connector_type: str, old: Mapping[str, Any], new: Mapping[str, Any], kept: Iterable[str]
) -> dict[str, list[str]]:
    """Return the stored secrets among ``kept`` that ``new`` would send to another place, with the changed fields.

    A secret is only ever sent to the host, port and user that it was entered for. Otherwise a user who may change a
    connection could read it by pointing the connection at a server of their own.
    """
    described = {field.name: field for field in config_fields(connector_type)}

    def value(config: Mapping[str, Any], name: str) -> Any:
        given = config.get(name)
        return described[name].default if given is None and name in described else given

    moved = {
        name: [place for place in described[name].sent_to if value(old, place) != value(new, place)]
        for name in kept
        if old.get(name)
    }
    return {name: places for name, places in moved.items() if places}


def _refuse_sent_elsewhere(
    connector_type: str, old: Mapping[str, Any], new: Mapping[str, Any], kept: Iterable[str]
) -> None:
    moved = secrets_sent_elsewhere(connector_type, old, new, kept)
    if moved:
        raise ConfigError(
            {
                name: Message("config.secret_sent_elsewhere", fields=", ".join(places))
                for name, places in moved.items()
            }
        )


def _new_config(connection: ERPConnection, config: Mapping[str, Any]) -> list[str]:
    new = {key: value for key, value in config.items() if value is not None}
    dropzone = parse_config(connection.connector_type, new)
    old = _readable(connection)
    changed = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
    before = parse_config(connection.connector_type, old) if changed and old else None
    if before is not None:
        _require_nothing_staged(connection, before, dropzone)
    if changed and (before is None or _folders(before) != _folders(dropzone)):
        require_allowed_folders(replace(dropzone, org_slug=connection.org.slug))
    connection.config = new
    _date_secrets(connection, old)
    return changed


def check_folders(org: Org, dropzone: Dropzone) -> None:
    """Raise `ConfigError` if a folder on this host is not allowed, or if another org uses it."""
    require_allowed_folders(replace(dropzone, org_slug=org.slug))
    require_own_folders(org, dropzone)


def _folders(dropzone: Dropzone) -> tuple[str, str, str | None]:
    return dropzone.transport, dropzone.export_path, dropzone.ack_path


def _date_secrets(connection: ERPConnection, old: Mapping[str, Any]) -> None:
    """Record when each secret was last set; pages show nothing else of a secret."""
    new, dates = connection.config, connection.secrets_set_at
    now = timezone.now().isoformat(timespec="seconds")
    connection.secrets_set_at = {
        name: dates[name] if old.get(name) == new[name] and name in dates else now
        for name in _secret_names(connection)
        if name in new and (name in dates or old.get(name) != new[name])
    }


def _audit_pinned(
    connection: ERPConnection, old: Mapping[str, Any], actor: User | None, *, reason: str = ""
) -> None:
    for name in host_key_names(connection.connector_type, *PINNED):
        pinned, before = fingerprints(connection.config.get(name)), fingerprints(old.get(name))
        if connection.config.get(name) and connection.config.get(name) != old.get(name):
            record(
                Entry(
                    action=Action.HOST_KEY_PINNED,
                    org_id=connection.org_id,
                    entity_type="ERPConnection",
                    entity_id=connection.pk,
                    actor=actor,
                    before={"fingerprints": before},
                    after={"changed": [name], "status": connection.status, "fingerprints": pinned}
                    | ({"reason": reason} if reason else {}),
                )
            )


def _readable(connection: ERPConnection) -> dict[str, Any]:
    try:
        config: dict[str, Any] = connection.config
    except Fault:
        # A config that no key opens any more is replaced whole.
        return {}
    return config


def _require_nothing_staged(connection: ERPConnection, old: Dropzone, new: Dropzone) -> None:
    def place(dropzone: Dropzone) -> tuple[object, ...]:
        endpoint = dropzone.options.endpoint()
        return (dropzone.transport, endpoint.host, endpoint.port, endpoint.via, dropzone.export_path)

    staged = ERPExport.objects.filter(connection=connection, status=ExportStatus.PENDING).exclude(
        staged_at=None
    )
    if place(old) != place(new) and staged.exists():
        raise ConnectionConflict(
            Message("connection.has_staged_exports", n=staged.count(), folder=old.export_path)
        )


def _secret_names(connection: ERPConnection) -> set[str]:
    return {field.name for field in config_fields(connection.connector_type) if field.secret}


def _folders_in_use(connection: ERPConnection) -> tuple[str, str, str | None] | None:
    """Return the folders of an active connection; None if it is disabled or its config can't be read."""
    if connection.status == ConnectionStatus.ACTIVE:
        with suppress(Fault):
            return _folders(dropzone_of(connection))
    return None


def _require_own_folders(connection: ERPConnection) -> None:
    if connection.status == ConnectionStatus.ACTIVE:
        # What can't be read polls nothing, and says so itself.
        with suppress(Fault):
            require_own_folders(connection.org, dropzone_of(connection))


def _save(connection: ERPConnection, *, new_config: bool) -> None:
    """Save the connection. Without the result of a test if that tested another config."""
    row = ERPConnection.objects.filter(pk=connection.pk)
    try:
        with transaction.atomic():
            connection.save()
            # What was waited for may be just what was changed.
            row.update(poll_retry_at=None, server_limits={})
            if new_config:
                connection.last_test_at = connection.last_test_success = connection.test_report = None
                row.update(last_test_at=None, last_test_success=None, test_report=None)
            retry_moves(connection.pk)
        transaction.on_commit(partial(sessions.session_pool.close, connection.pk))
    except IntegrityError:
        raise ConnectionConflict(
            Message("connection.second_active", type=connection.connector_type)
        ) from None


def _audit(
    connection: ERPConnection, action: Action, actor: User | None, *, changed: list[str], reason: str = ""
) -> None:
    record(
        Entry(
            action=action,
            org_id=connection.org_id,
            entity_type="ERPConnection",
            entity_id=connection.pk,
            actor=actor,
            after={"changed": changed, "status": connection.status} | ({"reason": reason} if reason else {}),
        )
    )
