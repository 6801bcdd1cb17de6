"""Background workers that are kept alive, until SIGTERM or Ctrl-C."""

import signal
from argparse import ArgumentParser
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from orderflow.supervisor import Policy, Supervisor

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Run background workers, and restart them whenever they stop working. Ctrl-C or SIGTERM ends it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--workers", type=int, default=settings.Q_WORKERS, help="worker processes per cluster"
        )
        parser.add_argument("--clusters", type=int, default=1, help="independent process trees")
        defaults = Policy()
        parser.add_argument("--stale-after", type=float, default=defaults.stale_after, metavar="SECONDS",
                            help="restart a cluster that sent no heartbeat for this time")  # fmt: skip
        parser.add_argument("--start-within", type=float, default=defaults.start_within, metavar="SECONDS",
                            help="the same while one starts; doubled each time it was too short")  # fmt: skip
        parser.add_argument("--stop-within", type=float, default=defaults.stop_within, metavar="SECONDS",
                            help="at the end, kill what did not finish its work by then")  # fmt: skip
        parser.add_argument("--tick-every", type=float, default=_tick_every(), metavar="SECONDS",
                            help="how often to look for work that no wake-up announced")  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        for name in ("workers", "clusters", "stale_after", "start_within", "stop_within", "tick_every"):
            if options[name] <= 0:
                raise CommandError(f"--{name.replace('_', '-')} must be more than 0.")
        stale_after = options["stale_after"]
        supervisor = Supervisor(
            clusters=options["clusters"],
            workers=options["workers"],
            policy=Policy(
                beat_every=min(Policy().beat_every, stale_after / 4),
                stale_after=stale_after,
                start_within=options["start_within"],
                database_within=min(Policy().database_within, stale_after),
                tick_every=options["tick_every"],
                stop_within=options["stop_within"],
            ),
            report=self._print,
        )
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: supervisor.stop())
        supervisor.run()

    def _print(self, line: str) -> None:
        if settings.LOG_FORMAT == "json":
            log.info("workers", said=line)
            return
        self.stdout.write(f"workers: {line}")
        self.stdout.flush()


def _tick_every() -> float:
    return max(1.0, min(Policy().tick_every, settings.ACK_POLL_INTERVAL_SECONDS / 2))
