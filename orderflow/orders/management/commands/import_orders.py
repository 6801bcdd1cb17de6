"""Orders from a file into an org."""

import gzip
import sys
import zlib
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from orderflow.orders.importing import Became, Into, Outcome, Problem, Summary, import_orders
from orderflow.orders.importing.limits import FileTooLarge
from orderflow.orders.importing.reading import FORMATS, UnknownFormat, opened, source
from orderflow.orders.management.progress import ProgressBar
from orderflow.tenancy.models import Org, User
from orderflow.tenancy.roles import Capability

NOTHING_DONE = 2
REVIEWS_SHOWN = 20
DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error)


class Command(BaseCommand):
    help = (
        "Import orders from JSON lines or CSV (docs/import.md), plain or gzipped. Importing a file again adds "
        "only what is missing. Exit code 0: all are in; 1: some are not; 2: nothing was imported, or not to the end."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--org", metavar="SLUG", help="whose orders; default: the org of --as")
        parser.add_argument(
            "--as", dest="email", metavar="EMAIL", help="in whose name; default: the system's"
        )
        parser.add_argument("--format", choices=FORMATS, help="default: by the file's name")
        parser.add_argument(
            "--create-customers", action="store_true", help="add customers whose number is unknown"
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would happen; change nothing")
        parser.add_argument("--json", action="store_true", help="the summary as one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        into = _into(options)
        self.reviews = 0
        try:
            summary = self._imported(options, into)
        except UnknownFormat as error:
            raise CommandError(str(error), returncode=NOTHING_DONE) from None
        except FileTooLarge as error:
            again = "What was read before is in; importing it again adds nothing twice."
            text = f"{options['file']} is too large: {error}. {again}"
            raise CommandError(text, returncode=NOTHING_DONE) from None
        except DAMAGED as error:
            again = "What was read before is in; get the file anew and import it again."
            raise CommandError(
                f"{options['file']} is damaged ({error}). {again}", returncode=NOTHING_DONE
            ) from None
        except OSError as error:
            text = f"{options['file']} can't be read: {error.strerror or error}."
            raise CommandError(text, returncode=NOTHING_DONE) from None
        except OperationalError as error:
            text = f"The database can't be reached: {str(error).strip()}. Import the file again: what is in stays once."
            raise CommandError(text, returncode=NOTHING_DONE) from None
        self._sum_up(summary, into, as_json=options["json"])
        if summary.trouble:
            sys.exit(1)

    def _imported(self, options: dict[str, Any], into: Into) -> Summary:
        path: Path = options["file"]
        with opened(source(path, options["format"])) as file, ProgressBar(path.stat().st_size) as self.bar:
            return import_orders(
                file, into, tell=lambda one: self._tell(path.name, one), progress=self.bar.at
            )

    def _tell(self, file: str, one: Became | Problem) -> None:
        if isinstance(one, Problem):
            self._trouble(f"{file}, line {one.line}, {one.field}: {one.what}")
        elif one.outcome in (Outcome.REFUSED, Outcome.DIFFERENT):
            customer, number = one.order.key
            field = (
                f"erp_customer_number {customer}"
                if one.outcome == Outcome.REFUSED
                else f"external_order_number {number}"
            )
            self._trouble(f"{file}, line {one.line}, {field}: {'; '.join(one.why)}")
        elif one.outcome == Outcome.NEEDS_REVIEW:
            self.reviews += 1
            if self.reviews <= REVIEWS_SHOWN:
                number = one.order.external_order_number
                self._trouble(f"{file}, line {one.line}: order {number} needs review: {'; '.join(one.why)}")

    def _trouble(self, text: str) -> None:
        self.bar.clear()
        self.stderr.write(text)

    def _sum_up(self, summary: Summary, into: Into, *, as_json: bool) -> None:
        numbers = {outcome.value.replace(" ", "_").lower(): summary.outcomes[outcome] for outcome in Outcome}
        created = len(summary.created_customers)
        if as_json:
            whole = {
                **numbers, "created_customers": created, "lacking": dict(summary.lacking), "dry_run": into.dry_run,
            }  # fmt: skip
            self.stdout.write(msgspec.json.encode(whole).decode())
            return
        new = summary.outcomes[Outcome.READY] + summary.outcomes[Outcome.NEEDS_REVIEW]
        did = "would be imported" if into.dry_run else "imported"
        self.stdout.write(f"{new} orders {did} into {into.org}")
        for outcome, text in _TEXTS.items():
            if summary.outcomes[outcome]:
                self.stdout.write(f"{summary.outcomes[outcome]:8} {text}")
        for gap, orders in summary.lacking.most_common():
            self.stdout.write(f"{orders:8}   of them: {gap}")
        if created:
            self.stdout.write(f"{created:8} customers {'would be ' if into.dry_run else ''}added")


_TEXTS = {
    Outcome.READY: "READY for approval",
    Outcome.THERE: "there already",
    Outcome.DIFFERENT: "there with other contents; left as they were",
    Outcome.REFUSED: "refused; see above",
    Outcome.NEEDS_REVIEW: "NEEDS_REVIEW",
}


def _into(options: dict[str, Any]) -> Into:
    actor = _actor(options["email"])
    slug = options["org"] or (actor.org.slug if actor and actor.org else None)
    if slug is None:
        raise CommandError("Say whose orders these are: --org SLUG.", returncode=NOTHING_DONE)
    org = Org.objects.filter(slug=slug).first()
    if org is None:
        raise CommandError(f"There is no org {slug}.", returncode=NOTHING_DONE)
    if actor and not actor.is_platform_staff and actor.org_id != org.pk:
        raise CommandError(f"{actor.email} does not belong to {org}.", returncode=NOTHING_DONE)
    return Into(
        org=org, actor=actor, create_customers=options["create_customers"], dry_run=options["dry_run"]
    )


def _actor(email: str | None) -> User | None:
    if email is None:
        return None
    user: User | None = User.objects.by_email(email).first()
    if user is None:
        raise CommandError(f"There is no user {email}.", returncode=NOTHING_DONE)
    if not user.can(Capability.APPROVE):
        text = f"{email} may not bring in orders; the role OPS or ADMIN may."
        raise CommandError(text, returncode=NOTHING_DONE)
    return user
