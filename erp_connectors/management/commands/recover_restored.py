"""After a restore from a backup: record what may have gone out since, before anything is sent again."""

import sys
from argparse import ArgumentParser, ArgumentTypeError
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from erp_connectors.management.reporting import ReportingCommand
from erp_connectors.services.restore.recover import recover
from erp_connectors.services.restore.rows import ArchiveNeeded
from orderflow.heartbeat.models import Heartbeat

INCOMPLETE = 2
ALIVE = timedelta(minutes=1)


class Command(ReportingCommand):
    help = (
        "After the database was restored from a backup, and before workers and web are started: find out from the "
        "archive and the dropzones what went out since, so that nothing is sent twice. May be run again. Exit code 0: "
        "done; 2: a dropzone or the archive could not be looked at; run it again when it can."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--backup-taken",
            required=True,
            type=_moment,
            metavar="TIME",
            help="when the backup began, such as 2026-11-23T02:00:00+01:00; earlier is safe, later is not",
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what would be recorded")

    def handle(self, *args: Any, **options: Any) -> None:
        self._require_stillness(dry_run=options["dry_run"])
        try:
            reports = recover(since=options["backup_taken"], dry_run=options["dry_run"])
        except ArchiveNeeded as error:
            text = f"{error} Nothing may be sent before it can: the archive alone knows what went out."
            raise CommandError(text, returncode=INCOMPLETE) from None
        for report in reports:
            self.show(report, as_json=options["json"])
        if any(report.errors for report in reports):
            sys.exit(INCOMPLETE)

    def _require_stillness(self, *, dry_run: bool) -> None:
        now = timezone.now()
        alive = Heartbeat.objects.filter(beat_at__gt=now - ALIVE).first()
        if alive and not dry_run:
            seconds = (now - alive.beat_at).total_seconds()
            raise CommandError(
                f"Workers are running ({alive.cluster} sent a heartbeat {seconds:.0f} s ago): they may send orders "
                "a second time. Stop them, and the web servers; run this again a minute later.",
                returncode=1,
            )


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no time; write it like 2026-11-23T02:00:00+01:00") from None
    if moment.tzinfo is None:
        raise ArgumentTypeError(f"{text!r} has no time zone; write Z or +01:00 behind it")
    return moment
