"""Move every connection to the current master key."""

from argparse import ArgumentParser
from typing import Any

from erp_connectors.management.reporting import ReportingCommand
from erp_connectors.services.connections import key_rotation
from orderflow.orders.management.progress import ProgressBar


class Command(ReportingCommand):
    help = (
        "Seal every connection's config, and the secret of every webhook and second factor, with "
        "ENCRYPTION_MASTER_KEY, while the system runs; a key of ENCRYPTION_PREVIOUS_KEYS opens the older ones. "
        "Exit code 1 where a row still needs an older key."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--check", action="store_true", help="change nothing; only say which keys are needed"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["check"]:
            report = key_rotation.rotation_status()
        else:
            with ProgressBar(
                sum(place.model._default_manager.count() for place in key_rotation.SEALED)
            ) as bar:
                report = key_rotation.rotate(done=bar.at)
        self.show(report, as_json=options["json"])
        self.finish(failed=not report.finished)
