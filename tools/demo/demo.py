"""Orders through a folder and through an SFTP server, ERP included; ends by itself."""

import time
from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from erp_connectors.management.reporting import positive
from erp_connectors.models import ERPExport
from orderflow.subprocess_group import SubprocessGroup
from tools.demo import story, world
from tools.demo.story import Place

COLUMNS = (
    ("order", 12),
    ("customer", 29),
    ("org", 9),
    ("file", 50),
    ("status", 6),
    ("ERP number or reason", 0),
)

# Any would do; with this one either ERP refuses two of the orders.
SEED = "demo-7"


class Command(BaseCommand):
    help = "From nothing to answered orders, in a database and folders of its own. Exit code 0: all ended as expected."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--limit", type=positive, default=90.0, metavar="SECONDS", help="give up after that"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not world.is_inside():
            world.enter(fresh=True, poll_seconds=1)
        started = time.monotonic()
        programs: dict[str, SubprocessGroup] = {}
        try:
            places, exports = self._play(programs, options["limit"])
        except KeyboardInterrupt:
            raise CommandError("stopped", returncode=130) from None
        finally:
            world.stop_all(programs)
        self._table(exports)
        self._conclude(places, exports, seconds=time.monotonic() - started)

    def _play(
        self, programs: dict[str, SubprocessGroup], limit: float
    ) -> tuple[list[Place], list[ERPExport]]:
        self._print("A fresh database with two wholesalers and their orders …")
        story.fill_database()
        places = story.open_places()
        self._print("Workers (django-q2), an SFTP server, and a simulated ERP on either dropzone …")
        programs |= start_background(places, refuse_rate=0.25)
        exports = []
        for place in places:
            pushed = story.push_orders(place)
            self._print(f"{place.org.name}: {len(pushed)} approved orders pushed, through {place.how}")
            exports += pushed

        def look(counts: str) -> None:
            self._print(f"  {counts}")
            world.require_running(programs)

        story.wait_for_answers(exports, seconds=limit, look=look)
        return places, story.results(exports)

    def _table(self, exports: list[ERPExport]) -> None:
        self._print("")
        self._print("  ".join(name.ljust(width) for name, width in COLUMNS).rstrip())
        self._print("  ".join("-" * (width or 40) for _, width in COLUMNS))
        for export in exports:
            draft = export.draft_order
            values = (
                draft.external_order_number, draft.customer.name if draft.customer else "", export.org.slug,
                export.filename, export.status, story.reason(export),
            )  # fmt: skip
            self._print(
                "  ".join(
                    _fit(value, width) for value, (_, width) in zip(values, COLUMNS, strict=True)
                ).rstrip()
            )

    def _conclude(self, places: list[Place], exports: list[ERPExport], *, seconds: float) -> None:
        counts = Counter(export.status for export in exports)
        self._print("")
        self._print(
            f"{len(exports)} orders in {seconds:.0f} s: {counts['ACKED']} accepted by the ERP, "
            f"{counts['FAILED']} refused."
        )
        self._print("Where to look:")
        for place in places:
            self._print(f"  {place.org.name} ({place.how})")
            self._print(f"    orders the ERP took    {place.folder / 'in' / 'taken'}")
            self._print(f"    its answers, handled   {place.folder / 'out' / 'processed'}")
        self._print(f"  archived copies          {settings.STORAGES['exports']['OPTIONS']['location']}")
        self._print(f"  logs                     {world.folder() / 'logs'}")
        self._print("Look around next: make serve, then http://127.0.0.1:8000/admin/ with one of")
        for login in story.logins():
            self._print(f"  {login}")
        self._print(f"  password of each: {story.PASSWORD}")
        wrong = list(story.problems(places, exports))
        if wrong:
            raise CommandError("Not as expected:\n  " + "\n  ".join(wrong))

    def _print(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def start_background(
    places: list[Place], *, refuse_rate: float, delay: float = 0.0
) -> dict[str, SubprocessGroup]:
    """Workers, and an ERP for each dropzone."""
    programs = {"workers": world.start("workers", "run_workers", "--stop-within", "4", grace=8)}
    for place in places:
        name = f"erp-{place.org.slug}"
        programs[name] = world.start(
            name, "simulate_erp", "--connection", str(place.connection.pk), "--watch", "0.3",
            "--refuse-rate", str(refuse_rate), "--duplicate-rate", "0.15", "--delay", str(delay), "--seed", SEED,
        )  # fmt: skip
    return programs


def _fit(text: str, width: int) -> str:
    if not width:
        return text
    return (text if len(text) <= width else f"{text[: width - 1]}…").ljust(width)
