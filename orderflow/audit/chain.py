"""What a seal's hash covers: the entry as the database keeps it, its place, through the hash before it all others."""

import json
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

VERSION = "orderflow_audit_v1"
# In the order in which they are hashed; every column of an entry.
COLUMNS = (
    "id", "org_id", "actor_id", "action", "entity_type", "entity_id", "before", "after", "ip", "user_agent",
    "request_id", "created_at",
)  # fmt: skip


def name_of(org_id: UUID | None) -> str:
    """A chain's name in logs, anchors and reports; ``-``: of what belongs to no org."""
    return str(org_id) if org_id else "-"


def beginning(org_id: UUID | None) -> str:
    """The hash before the first."""
    return sha256(f"{VERSION}:{name_of(org_id)}".encode()).hexdigest()


def link(before: str, seq: int, entry: tuple[Any, ...]) -> str:
    """``entry``: its `COLUMNS`."""
    said = json.dumps([before, seq, *entry], sort_keys=True, separators=(",", ":"), default=_plain)
    return sha256(said.encode()).hexdigest()


def _plain(value: Any) -> str:
    return (
        value.astimezone(UTC).isoformat(timespec="microseconds")
        if isinstance(value, datetime)
        else str(value)
    )
