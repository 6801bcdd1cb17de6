"""One round of delivery, now."""

from typing import Any

from erp_connectors.management.reporting import ConnectionsCommand
from erp_connectors.services.delivery import deliver


class Command(ConnectionsCommand):
    help = "Deliver what is due once. Exit code 1 where something failed, was postponed or is held."

    def handle(self, *args: Any, **options: Any) -> None:
        self.rounds(options, deliver.deliver, lambda report: not report.is_clean)
