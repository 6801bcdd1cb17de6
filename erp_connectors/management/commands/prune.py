"""Remove contents that are kept no longer."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from erp_connectors.management.reporting import ReportingCommand
from erp_connectors.retention import runs
from erp_connectors.retention.outlook import outlook
from erp_connectors.retention.periods import SETTINGS, Periods, TooShort, periods
from orderflow.tenancy.models import Org


class Command(ReportingCommand):
    help = (
        "Remove the contents of orders that are done, once they are older than RETENTION_ARCHIVE_DAYS, "
        "RETENTION_ACK_DAYS and RETENTION_EVENT_DAYS say: copies in the archive, texts of ack files, events that prove "
        "nothing. Rows stay. Workers do the same once a day. Prints what goes, and why the rest stays. Exit code 1: "
        "the archive could not be used; workers go on with it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="change nothing; only say what would go, and why the rest stays",
        )
        parser.add_argument("--org", metavar="SLUG", help="only this org")
        parser.add_argument(
            "--older-than",
            type=int,
            metavar="DAYS",
            help="of everything, in place of the settings; at least 30",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        org = _org(options["org"])
        kept = _periods(options["older_than"])
        now = timezone.now()
        for one in [org] if org else Org.objects.order_by("slug"):
            self.show(outlook(one, kept, now), as_json=options["json"])
        if options["dry_run"]:
            return
        worked = runs.work(runs.begin(org=org, older_than=options["older_than"]).pk)
        if not options["json"]:
            self.stdout.write(f"{worked.removed} removed.")
        if worked.error:
            self.stderr.write(
                f"{worked.error}\nWhat is left is removed by workers, or by this command, later."
            )
        self.finish(failed=bool(worked.error))


def _org(slug: str | None) -> Org | None:
    if slug is None:
        return None
    org = Org.objects.filter(slug=slug).first()
    if org is None:
        raise CommandError(f"There is no org {slug!r}. The admin lists them under Tenancy.")
    return org


def _periods(older_than: int | None) -> Periods:
    try:
        kept = periods(older_than)
    except TooShort as error:
        raise CommandError(str(error)) from None
    if not kept.days:
        raise CommandError(
            f"Everything is kept for ever. Set {', '.join(SETTINGS.values())} in days, or say --older-than DAYS."
        )
    return kept
