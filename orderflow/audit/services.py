"""Writing audit entries: one, or many in one INSERT."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from orderflow.audit.context import current
from orderflow.audit.models import Action, AuditLog
from orderflow.tenancy.models import User


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
    AuditLog.objects.bulk_create(
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
