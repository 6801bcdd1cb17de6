"""One round of ack polling, now."""

from typing import Any

from erp_connectors.management.reporting import ConnectionsCommand
from erp_connectors.services.acks import poll


class Command(ConnectionsCommand):
    help = "Read the ERPs' ack files once, whether or not it is time to. Exit code 1 if a folder could not be read."

    def handle(self, *args: Any, **options: Any) -> None:
        self.rounds(options, poll.poll_now, lambda report: bool(report.error))
