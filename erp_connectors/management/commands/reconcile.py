"""Compare what the database says with what the dropzone and the archive hold."""

import sys
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError
from django.db import OperationalError

from erp_connectors.management.reporting import ReportingCommand, chosen_connections, each
from erp_connectors.services.reconciliation.reconcile import reconcile

INCOMPLETE = 2


class Command(ReportingCommand):
    help = (
        "Compare database, archive and dropzone, and change nothing. Exit code 0: all is as recorded; 1: files are "
        "lost, altered, orphaned or unexplained; 2: not everything could be compared."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--connection", type=UUID, metavar="ID", help="only this one; default: all active ones"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            reports = each(chosen_connections(options["connection"]), reconcile)
        except CommandError as error:
            raise CommandError(str(error), returncode=INCOMPLETE) from None
        except OperationalError as error:
            text = f"The database can't be reached: {str(error).strip()}."
            raise CommandError(text, returncode=INCOMPLETE) from None
        for report in reports:
            self.show(report, as_json=options["json"])
        if not reports and not options["json"]:
            self.stdout.write("There is no active connection; nothing to compare.")
        if code := max((report.exit_code for report in reports), default=0):
            sys.exit(code)
