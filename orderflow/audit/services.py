"""Writing audit entries: one, or many in one INSERT."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction

from orderflow.audit.context import current
from orderflow.audit.models import Action, AuditLog
from orderflow.tenancy.models import User

# The evidence is the copy of these lines on another machine: docs/security/checklist.md has their schema.
log = structlog.get_logger("orderflow.audit.entries")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """``before`` and ``after`` are JSON and must hold no secret; ``actor`` None is the system."""

    action: Action
    org_id: UUID | None
    entity_type: str
    entity_id: UUID | str
    actor: User | None = None
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


def record(entry: Entry) -> None:
    record_many([entry])


def record_many(entries: Iterable[Entry]) -> None:
    context = current.get()
    rows = AuditLog.objects.bulk_create(
        AuditLog(
            org_id=entry.org_id,
            actor=entry.actor,
            action=entry.action,
            entity_type=entry.entity_type,
            entity_id=str(entry.entity_id),
            before=entry.before,
            after=entry.after,
            ip=context.ip,
            user_agent=context.user_agent,
            request_id=context.request_id,
        )
        for entry in entries
    )
    # Only what is committed happened.
    transaction.on_commit(lambda: _write_lines(rows))


def _write_lines(rows: Iterable[AuditLog]) -> None:
    for row in rows:
        log.info(
            "audit.entry",
            id=str(row.pk),
            at=row.created_at.isoformat(),
            action=str(row.action),
            org_id=str(row.org_id) if row.org_id else None,
            actor_id=str(row.actor_id) if row.actor_id else None,
            entity_type=row.entity_type,
            entity_id=row.entity_id,
            before=row.before,
            after=row.after,
            ip=row.ip,
            user_agent=row.user_agent,
            request_id=row.request_id,
        )
