"""Orders from a file target an org."""

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

from orderflow.messages import english
from orderflow.orders.importing import (
    IMPORTED,
    ImportOutcome,
    ImportResult,
    ImportTarget,
    Problem,
    Remark,
    Summary,
    import_orders,
)
from orderflow.orders.importing.amounts import SIGNS
from orderflow.orders.importing.columns import BadColumns, column_map, shipped
from orderflow.orders.importing.dates import BadFormat, date_format
from orderflow.orders.importing.encodings import UnknownEncoding
from orderflow.orders.importing.file_description import FileDescription, describe_order
from orderflow.orders.importing.formats import FORMATS, UnknownFormat
from orderflow.orders.importing.limits import FileTooLarge
from orderflow.orders.importing.reading import Options, reading
from orderflow.orders.importing.workbook import BadWorkbook
from orderflow.orders.management.progress import ProgressBar
from orderflow.orders.readiness import GAP_MESSAGES
from orderflow.tenancy.models import Org, User
from orderflow.tenancy.roles import Capability

NOTHING_DONE = 2
MAX_SHOWN = 20
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
            "--as",
            dest="email",
            metavar="EMAIL",
            help="the user who is recorded as the importer; default: the system",
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
            help="show how the file is read and what would happen; change nothing",
        )
        parser.add_argument("--json", action="store_true", help="the summary as one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        self.shown: Counter[str] = Counter()
        try:
            target, how = _target(options), _options(options)
            summary, file = self._imported(path, how, target)
        except FAILURES as error:
            raise CommandError(_failure(path, error), returncode=NOTHING_DONE) from None
        if not summary.outcomes.total() and not file.skipped:
            text = f"{path} holds no orders: there is nothing below its header. Export it again."
            raise CommandError(text, returncode=NOTHING_DONE)
        if options["json"]:
            self._write_json(summary, file, target)
        else:
            self._write_text(summary, file, target)
        if not summary.is_complete:
            sys.exit(1)

    def _imported(self, path: Path, how: Options, target: ImportTarget) -> tuple[Summary, FileDescription]:
        with reading(path, how) as file, ProgressBar(path.stat().st_size) as self.bar:
            size = path.stat().st_size
            summary = import_orders(
                file,
                target,
                report=lambda one: self._report(path.name, one),
                progress=lambda share: self.bar.at(int(share * size)),
            )
            return summary, file.description

    def _report(self, file: str, one: ImportResult | Problem | Remark) -> None:
        if isinstance(one, Problem):
            self._write_error(f"{file}, line {one.line}, {one.field}: {one.what}")
        elif isinstance(one, Remark):
            self._write_error(f"{file}, line {one.line}, {one.field}: remark: {one.what}")
        elif one.outcome in (ImportOutcome.REFUSED, ImportOutcome.DIFFERS):
            customer, number = one.order.key
            field = (
                f"erp_customer_number {customer}"
                if one.outcome == ImportOutcome.REFUSED
                else f"external_order_number {number}"
            )
            self._write_error(f"{file}, line {one.line}, {field}: {one.reason}")
        else:
            self._report_imported(file, one)

    def _report_imported(self, file: str, one: ImportResult) -> None:
        """Report gaps and warnings of an order that is in OrderFlow; only the first few of each kind."""
        where = f"{file}, line {one.line}: order {one.order.external_order_number}"
        by_kind = {
            "needs review": "; ".join(english(gap.message()) for gap in one.gaps),
            "already exists": one.reason,
            "has warnings": " ".join(warning.english() for warning in one.warnings),
        }
        for kind, text in by_kind.items():
            self.shown[kind] += bool(text)
            if text and self.shown[kind] <= MAX_SHOWN:
                self._write_error(f"{where} {kind}: {text}")

    def _write_error(self, text: str) -> None:
        self.bar.clear()
        self.stderr.write(text)

    def _write_json(self, summary: Summary, file: FileDescription, target: ImportTarget) -> None:
        whole: dict[str, Any] = {outcome.lower(): summary.outcomes[outcome] for outcome in ImportOutcome}
        whole |= {
            "created_customers": len(summary.created_customers), "gaps": dict(summary.gaps),
            "dry_run": target.dry_run, "skipped": file.skipped, "remarks": summary.remarks,
            "warnings": dict(summary.warnings),
        }  # fmt: skip
        if target.dry_run:
            whole["file"] = _facts(summary, file)
        self.stdout.write(msgspec.json.encode(whole).decode())

    def _write_text(self, summary: Summary, file: FileDescription, target: ImportTarget) -> None:
        for name, text in _facts(summary, file).items() if target.dry_run else ():
            self.stdout.write(f"{name:>14}: {text}")
        new = sum(summary.outcomes[outcome] for outcome in IMPORTED)
        did = "would be imported" if target.dry_run else "imported"
        self.stdout.write(f"{new} orders {did} into {target.org}")
        numbers = [(summary.outcomes[outcome], text) for outcome, text in _TEXTS.items()]
        numbers += [
            (orders, f"  of them: {english(GAP_MESSAGES[code])}")
            for code, orders in summary.gaps.most_common()
        ]
        numbers += [(orders, f"with the warning {code}") for code, orders in summary.warnings.most_common()]
        added = f"customers {'would be ' if target.dry_run else ''}added"
        numbers += [(len(summary.created_customers), added)]
        numbers += [(file.skipped, "skipped, as the column map says")]
        for number, text in numbers:
            if number:
                self.stdout.write(f"{number:8} {text}")
        if file.total:
            self.stdout.write(f"Line {file.total} is a total and was left out.")


_TEXTS = {
    ImportOutcome.READY: "READY for approval",
    ImportOutcome.EXISTS: "already in OrderFlow",
    ImportOutcome.DIFFERS: "already in OrderFlow with other contents; left as they were",
    ImportOutcome.REFUSED: "refused; see above",
    ImportOutcome.NEEDS_REVIEW: "NEEDS_REVIEW",
}


def _failure(path: Path, error: Exception) -> str:
    """Return what happened and what to do."""
    if isinstance(error, UNFIT):
        about_the_file = isinstance(error, UnknownEncoding | BadWorkbook)
        return f"{path}: {error}." if about_the_file else f"{str(error).rstrip('.')}."
    if isinstance(error, FileTooLarge):
        again = "The orders before it were imported; importing the file again adds nothing twice."
        return f"{path} is too large: {error}. {again}"
    if isinstance(error, DAMAGED):
        again = "The orders before the damage were imported; get the file again and import it."
        return f"{path} is damaged ({error}). {again}"
    if isinstance(error, OperationalError):
        said = str(error).strip()
        return f"The database can't be reached: {said}. Import the file again; nothing is added twice."
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{path} can't be read: {said}."


def _facts(summary: Summary, file: FileDescription) -> dict[str, str]:
    facts = dict(file.facts)
    return facts | {"first order": describe_order(summary.first)} if facts and summary.first else facts


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


def _target(options: dict[str, Any]) -> ImportTarget:
    actor = _actor(options["email"])
    slug = options["org"] or (actor.org.slug if actor and actor.org else None)
    if slug is None:
        raise CommandError("Say whose orders these are: --org SLUG.", returncode=NOTHING_DONE)
    org = Org.objects.filter(slug=slug).first()
    if org is None:
        raise CommandError(f"There is no org {slug}.", returncode=NOTHING_DONE)
    if actor and not actor.is_platform_staff and actor.org_id != org.pk:
        raise CommandError(f"{actor.email} does not belong to {org}.", returncode=NOTHING_DONE)
    return ImportTarget(
        org=org, actor=actor, create_customers=options["create_customers"], dry_run=options["dry_run"]
    )


def _actor(email: str | None) -> User | None:
    if email is None:
        return None
    user: User | None = User.objects.by_email(email).first()
    if user is None:
        raise CommandError(f"There is no user {email}.", returncode=NOTHING_DONE)
    if not user.can(Capability.APPROVE):
        text = f"{email} may not import orders; the roles OPS and ADMIN may."
        raise CommandError(text, returncode=NOTHING_DONE)
    return user
