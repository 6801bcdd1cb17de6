"""Base of `push` and `retry_push`."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

import msgspec
from django.core.management.base import CommandError

from erp_connectors.management.reporting import ReportingCommand
from erp_connectors.services.exports.push import PushRefused, PushResult
from orderflow.orders.models import DraftOrder
from orderflow.orders.order_warnings import warnings_of
from orderflow.tenancy.models import User
from orderflow.tenancy.roles import Capability


class PushReport(msgspec.Struct, frozen=True):
    draft_order_id: UUID
    erp_export_id: UUID
    filename: str
    status: str
    created: bool
    warnings: list[str]

    def lines(self) -> list[str]:
        done = "is on its way" if self.created else f"was pushed before; its export is {self.status}"
        warned = [f"  warning: {warning}" for warning in self.warnings]
        return [
            f"{self.draft_order_id}: {done}",
            f"  export {self.erp_export_id}, file {self.filename}",
            *warned,
        ]


class PushingCommand(ReportingCommand):
    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("draft_id", type=UUID, metavar="DRAFT_ID")
        parser.add_argument(
            "--as", dest="email", metavar="EMAIL", help="in whose name; default: the system's"
        )

    def push(self, draft_id: UUID, actor: User | None, options: dict[str, Any]) -> PushResult:
        raise NotImplementedError

    def handle(self, *args: Any, **options: Any) -> None:
        draft_id: UUID = options["draft_id"]
        try:
            result = self.push(draft_id, actor(options["email"]), options)
        except PushRefused as refused:
            raise CommandError(str(refused)) from None
        except DraftOrder.DoesNotExist:
            raise CommandError(f"There is no order {draft_id} that this user may see.") from None
        export = result.export
        warnings = [warning.english() for warning in warnings_of(export.draft_order)]
        report = PushReport(
            draft_id, export.pk, export.filename, str(export.status), result.created, warnings
        )
        self.show(report, as_json=options["json"])


def actor(email: str | None) -> User | None:
    """None is the system; raises `CommandError` for who may not push."""
    if email is None:
        return None
    user: User | None = User.objects.by_email(email).first()
    if user is None:
        raise CommandError(f"There is no user {email}.")
    if not user.can(Capability.PUSH):
        raise CommandError(f"{email} may not push orders; the role OPS or ADMIN may.")
    return user
