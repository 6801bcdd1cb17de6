"""Base of `validate_ack` and `validate_export`: read files and print a verdict on each."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from erp_connectors.connectors.base import Connector
from erp_connectors.management.reporting import ReportingCommand
from erp_connectors.registry import DEFAULT_CONNECTOR_TYPE, UnknownConnectorType, connector_for
from erp_connectors.services.upkeep.contract import FileCheck

UNREADABLE = 2


class ExaminingCommand(ReportingCommand):
    """Exit code 0: all files are fine; 1: some are not; 2: some can't be read."""

    # Neither a database nor a dropzone takes part.
    requires_system_checks = []

    def examine(self, connector: Connector[Any], name: str, body: bytes) -> FileCheck:
        raise NotImplementedError

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="its name counts, too")
        parser.add_argument(
            "--connector", default=DEFAULT_CONNECTOR_TYPE, metavar="TYPE", help="default: %(default)s"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            connector = connector_for(options["connector"])
        except UnknownConnectorType as error:
            raise CommandError(str(error), returncode=UNREADABLE) from None
        verdicts = [self._verdict(connector, path) for path in options["files"]]
        for verdict in verdicts:
            self.show(verdict, as_json=options["json"])
        self.finish(failed=not all(verdict.fine for verdict in verdicts))

    def _verdict(self, connector: Connector[Any], path: Path) -> FileCheck:
        try:
            return self.examine(connector, path.name, path.read_bytes())
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}.", returncode=UNREADABLE) from None
