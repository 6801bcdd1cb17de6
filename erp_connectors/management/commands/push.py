"""Push one approved order."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from erp_connectors.management.pushing import PushingCommand
from erp_connectors.services.exports import push
from erp_connectors.services.exports.push import PushResult
from orderflow.tenancy.models import User


class Command(PushingCommand):
    help = "Push an approved order to its org's ERP; workers (or `deliver`) send it. Pushing again changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--idempotency-key", metavar="KEY", help="refuse an order that was pushed with another key"
        )

    def push(self, draft_id: UUID, actor: User | None, options: dict[str, Any]) -> PushResult:
        return push.push(draft_id, actor=actor, idempotency_key=options["idempotency_key"])
