"""The result of a delivery, as commands and tasks show it."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from erp_connectors.faults import Scope
from erp_connectors.services.delivery.context import Failure
from erp_connectors.services.delivery.record_failures import FailureCounts


class DeliveryReport(msgspec.Struct):
    """Numbers of exports. ``held``: why the connection waits. ``busy``: another worker has the lease."""

    connection_id: UUID
    sent: int = 0
    failed: int = 0
    postponed: int = 0
    held: str = ""
    busy: bool = False

    def count(
        self, failures: Sequence[Failure], recorded: FailureCounts, *, others_sent: bool = False
    ) -> None:
        self.failed += len(recorded.failed)
        for failure in failures:
            if failure.fault.scope is Scope.CONNECTION and not (others_sent or failure.elsewhere):
                self.held = self.held or failure.fault.message
            elif failure.export.pk in recorded.waiting:
                self.postponed += 1

    @property
    def is_clean(self) -> bool:
        return not (self.failed or self.postponed or self.held)

    def lines(self) -> list[str]:
        if self.busy:
            return [f"{self.connection_id}: another worker is delivering"]
        done = f"{self.connection_id}: {self.sent} sent, {self.failed} failed, {self.postponed} to be tried again"
        return [done, f"  held: {self.held}"] if self.held else [done]
