"""Orders from a file into an org."""

import gzip
import sys
import zlib
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from orderflow.orders.importing import Became, Into, Outcome, Problem, Remark, Summary, import_orders
from orderflow.orders.importing.amounts import SIGNS
from orderflow.orders.importing.columns import BadColumns, column_map, shipped
from orderflow.orders.importing.dates import BadFormat, date_format
from orderflow.orders.importing.encodings import UnknownEncoding
from orderflow.orders.importing.formats import FORMATS, UnknownFormat
from orderflow.orders.importing.limits import FileTooLarge
from orderflow.orders.importing.reading import Options, reading
from orderflow.orders.importing.understood import Understood, order_in_words
from orderflow.orders.importing.workbook import BadWorkbook
from orderflow.orders.management.progress import ProgressBar
from orderflow.tenancy.models import Org, User
from orderflow.tenancy.roles import Capability

NOTHING_DONE = 2
REMARKS_SHOWN = 20
DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error)
UNFIT = (BadColumns, BadFormat, UnknownFormat, UnknownEncoding, BadWorkbook)
FAILURES = (*UNFIT, *DAMAGED, FileTooLarge, OSError, OperationalError)


class Command(BaseCommand):
    help = (
        "Import orders from JSON lines, CSV or a workbook (docs/import.md). Importing a file again adds only what "
        "is missing. Exit code 0: all are in; 1: some are not; 2: nothing was imported, or not to the end."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--org", metavar="SLUG", help="whose orders; default: the org of --as")
        parser.add_argument(
            "--as", dest="email", metavar="EMAIL", help="in whose name; default: the system's"
        )
        parser.add_argument("--format", choices=FORMATS, help="default: by the file's content and name")
        parser.add_argument(
            "--columns",
            metavar="MAP",
            help=f"which column is which field: {', '.join(shipped())}, or the path of a map of your own",
        )
        parser.add_argument(
            "--decimal", choices=sorted(SIGNS), help="the decimal sign; default: by the numbers"
        )
        parser.add_argument(
            "--encoding", help="such as windows-1252; default: by the byte order mark, else UTF-8"
        )
        parser.add_argument("--date-format", metavar="FORMAT", help="such as DD.MM.YYYY; default: YYYY-MM-DD")
        parser.add_argument(
            "--sheet", metavar="NAME", help="of a workbook; default: the only one with anything in it"
        )
        parser.add_argument(
            "--create-customers", action="store_true", help="add customers whose number is unknown"
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="say how the file is understood and what would happen; change nothing",
        )
        parser.add_argument("--json", action="store_true", help="the summary as one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        self.remarks: Counter[str] = Counter()
        try:
            into, how = _into(options), _options(options)
            summary, understood = self._imported(path, how, into)
        except FAILURES as error:
            raise CommandError(_failure(path, error), returncode=NOTHING_DONE) from None
        if not summary.outcomes.total() and not understood.skipped:
            text = f"{path} holds no orders: there is nothing below its header. Export it again."
            raise CommandError(text, returncode=NOTHING_DONE)
        if options["json"]:
            self._sum_up_for_programs(summary, understood, into)
        else:
            self._sum_up(summary, understood, into)
        if summary.trouble:
            sys.exit(1)

    def _imported(self, path: Path, how: Options, into: Into) -> tuple[Summary, Understood]:
        with reading(path, how) as file, ProgressBar(path.stat().st_size) as self.bar:
            size = path.stat().st_size
            summary = import_orders(
                file,
                into,
                tell=lambda one: self._tell(path.name, one),
                progress=lambda share: self.bar.at(int(share * size)),
            )
            return summary, file.understood

    def _tell(self, file: str, one: Became | Problem | Remark) -> None:
        if isinstance(one, Problem):
            self._trouble(f"{file}, line {one.line}, {one.field}: {one.what}")
        elif isinstance(one, Remark):
            self._trouble(f"{file}, line {one.line}, {one.field}: warning: {one.what}")
        elif one.outcome in (Outcome.REFUSED, Outcome.DIFFERENT):
            customer, number = one.order.key
            field = (
                f"erp_customer_number {customer}"
                if one.outcome == Outcome.REFUSED
                else f"external_order_number {number}"
            )
            self._trouble(f"{file}, line {one.line}, {field}: {'; '.join(one.why)}")
        else:
            self._remark(file, one)

    def _remark(self, file: str, one: Became) -> None:
        """What does not keep the order out; the first few of each kind."""
        where = f"{file}, line {one.line}: order {one.order.external_order_number}"
        remarks = {
            "needs review": "; ".join(one.why) if one.outcome == Outcome.NEEDS_REVIEW else "",
            "is there already": "; ".join(one.why) if one.outcome == Outcome.THERE else "",
            "has warnings": " ".join(warning.english() for warning in one.warnings),
        }
        for kind, text in remarks.items():
            self.remarks[kind] += bool(text)
            if text and self.remarks[kind] <= REMARKS_SHOWN:
                self._trouble(f"{where} {kind}: {text}")

    def _trouble(self, text: str) -> None:
        self.bar.clear()
        self.stderr.write(text)

    def _sum_up_for_programs(self, summary: Summary, understood: Understood, into: Into) -> None:
        whole: dict[str, Any] = {
            outcome.value.replace(" ", "_").lower(): summary.outcomes[outcome] for outcome in Outcome
        }
        whole |= {
            "created_customers": len(summary.created_customers), "lacking": dict(summary.lacking),
            "dry_run": into.dry_run, "skipped": understood.skipped, "warnings": summary.remarks,
            "order_warnings": dict(summary.warnings),
        }  # fmt: skip
        if into.dry_run:
            whole["understood"] = _facts(summary, understood)
        self.stdout.write(msgspec.json.encode(whole).decode())

    def _sum_up(self, summary: Summary, understood: Understood, into: Into) -> None:
        for name, text in _facts(summary, understood).items() if into.dry_run else ():
            self.stdout.write(f"{name:>14}: {text}")
        new = summary.outcomes[Outcome.READY] + summary.outcomes[Outcome.NEEDS_REVIEW]
        did = "would be imported" if into.dry_run else "imported"
        self.stdout.write(f"{new} orders {did} into {into.org}")
        numbers = [(summary.outcomes[outcome], text) for outcome, text in _TEXTS.items()]
        numbers += [(orders, f"  of them: {gap}") for gap, orders in summary.lacking.most_common()]
        numbers += [(orders, f"with the warning {code}") for code, orders in summary.warnings.most_common()]
        added = f"customers {'would be ' if into.dry_run else ''}added"
        numbers += [(len(summary.created_customers), added)]
        numbers += [(understood.skipped, "skipped, as the column map says")]
        for number, text in numbers:
            if number:
                self.stdout.write(f"{number:8} {text}")
        if understood.total:
            self.stdout.write(f"Line {understood.total} is a total and was left out.")


_TEXTS = {
    Outcome.READY: "READY for approval",
    Outcome.THERE: "there already",
    Outcome.DIFFERENT: "there with other contents; left as they were",
    Outcome.REFUSED: "refused; see above",
    Outcome.NEEDS_REVIEW: "NEEDS_REVIEW",
}


def _failure(path: Path, error: Exception) -> str:
    """Return what happened and what to do."""
    if isinstance(error, UNFIT):
        about_the_file = isinstance(error, UnknownEncoding | BadWorkbook)
        return f"{path}: {error}." if about_the_file else f"{str(error).rstrip('.')}."
    if isinstance(error, FileTooLarge):
        again = "What was read before is in; importing it again adds nothing twice."
        return f"{path} is too large: {error}. {again}"
    if isinstance(error, DAMAGED):
        again = "What was read before is in; get the file anew and import it again."
        return f"{path} is damaged ({error}). {again}"
    if isinstance(error, OperationalError):
        said = str(error).strip()
        return f"The database can't be reached: {said}. Import the file again: what is in stays once."
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{path} can't be read: {said}."


def _facts(summary: Summary, understood: Understood) -> dict[str, str]:
    facts = dict(understood.facts)
    return facts | {"first order": order_in_words(summary.first)} if facts and summary.first else facts


def _options(options: dict[str, Any]) -> Options:
    """Raise `BadColumns`, `BadFormat`."""
    dates, columns = options["date_format"], options["columns"]
    return Options(
        format=options["format"],
        encoding=options["encoding"],
        decimal=options["decimal"],
        dates=date_format(dates) if dates else None,
        columns=column_map(columns) if columns else None,
        sheet=options["sheet"],
    )


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
