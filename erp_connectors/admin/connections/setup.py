"""List the setup steps that are left until a connection works."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from erp_connectors.admin.connections.form import described_fields, stored_config
from erp_connectors.config_fields import ConfigField, Purpose
from erp_connectors.faults import HOST_KEY_CHANGED, HOST_KEY_UNKNOWN
from erp_connectors.models import ERPConnection
from erp_connectors.port_types import PresentedKey
from erp_connectors.services.connections import host_keys
from erp_connectors.services.connections.expiry_warnings import ExpiryWarning, expiry_warnings
from erp_connectors.services.connections.host_keys import (
    PlannedHostKey,
    pinned_keys,
    pinned_keys_of,
    planned_keys,
)
from erp_connectors.services.connections.support_email import (
    hop_public_key,
    next_public_key,
    own_public_key,
)
from erp_connectors.services.connections.test_report import last_report

HOST_KEY_CODES = (HOST_KEY_CHANGED.code, HOST_KEY_UNKNOWN.code)


@dataclass(frozen=True, slots=True)
class Setup:
    """``public_key`` and ``wants_host_key`` say which of the steps there are for this kind of connection.

    ``hop_key_field``: the config's key for the host keys of a jump host; empty without one.
    """

    public_key: str
    next_public_key: str
    wants_host_key: bool
    pinned: tuple[PresentedKey, ...]
    planned: tuple[PlannedHostKey, ...]
    hop_public_key: str
    hop_key_field: str
    hop_pinned: tuple[PresentedKey, ...]
    expiry_warnings: Sequence[ExpiryWarning]
    problem: dict[str, Any] | None
    tested: bool | None
    failed_with: str

    @property
    def key_problem(self) -> bool:
        """Return True if the connection waits until a user decides about the server's key."""
        return self.problem is not None

    @property
    def key_confirmed(self) -> bool:
        return bool(self.pinned) and not self.key_problem and self.failed_with not in HOST_KEY_CODES

    @property
    def hop_key_confirmed(self) -> bool:
        return bool(self.hop_pinned) and not self.key_problem and self.failed_with not in HOST_KEY_CODES


def setup_of(connection: ERPConnection) -> Setup:
    known = described_fields(connection.connector_type)
    config, report = stored_config(connection) if known else {}, last_report(connection)
    key_fields = host_key_fields(connection, config)
    hop_field = next((field.name for field in key_fields if field.purpose is Purpose.HOP_HOST_KEY), "")
    held_for = [connection.circuit_reason or {}, connection.poll_error or {}]
    return Setup(
        public_key=own_public_key(connection) if config else "",
        next_public_key=next_public_key(connection) if config else "",
        planned=tuple(planned_keys(connection, today=timezone.now().date())),
        expiry_warnings=expiry_warnings(connection, today=timezone.now().date()),
        wants_host_key=any(field.purpose is Purpose.HOST_KEY for field in key_fields),
        hop_public_key=hop_public_key(connection) if config else "",
        hop_key_field=hop_field,
        hop_pinned=pinned_keys_of(connection, hop_field) if hop_field else (),
        pinned=pinned_keys(connection) if config else (),
        problem=next((one for one in held_for if _undecided(one, connection)), None),
        tested=connection.last_test_success,
        failed_with=report.failed.code if report and report.failed else "",
    )


def _undecided(reason: dict[str, Any], connection: ERPConnection) -> bool:
    """About the server's key, and met after the connection was configured as it is now."""
    met = reason.get("code") in HOST_KEY_CODES
    return met and datetime.fromisoformat(reason["time"]) > connection.updated_at


def host_key_fields(connection: ERPConnection, config: dict[str, Any]) -> list[ConfigField]:
    """Return the fields of the connection's host keys; none for a connector type that this deployment does not have."""
    if not described_fields(connection.connector_type):
        return []
    return host_keys.host_key_fields(connection.connector_type, config)
