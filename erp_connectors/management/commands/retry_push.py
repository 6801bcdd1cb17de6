"""Push an order in ERROR again."""

from typing import Any
from uuid import UUID

from erp_connectors.management.pushing import PushingCommand
from erp_connectors.services.exports import push
from erp_connectors.services.exports.push import PushResult
from orderflow.tenancy.models import User


class Command(PushingCommand):
    help = "Push an order in ERROR again, as a new export."

    def push(self, draft_id: UUID, actor: User | None, options: dict[str, Any]) -> PushResult:
        return push.retry_push(draft_id, actor=actor)
