"""Import orders from a file of any size: each order completely or not at all, and never twice.

formats, encodings      recognise the file
delimited, workbook     bytes to a table; json_lines: bytes to orders
columns, rows           a table to orders
amounts, dates, values  one value
checking                check an order and list all its problems
writing                 write batches to the database
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from orderflow.orders.importing.checking import Checker, remarks
from orderflow.orders.importing.documents import OrderIn, Unreadable
from orderflow.orders.importing.documents import Problem as Problem
from orderflow.orders.importing.documents import Remark as Remark
from orderflow.orders.importing.reading import Reading
from orderflow.orders.importing.writing import CheckedOrder, digest, existing, write
from orderflow.orders.importing.writing import ImportOutcome as ImportOutcome
from orderflow.orders.importing.writing import ImportResult as ImportResult
from orderflow.orders.importing.writing import ImportTarget as ImportTarget
from orderflow.orders.readiness import GapCode
from orderflow.orders.warning_codes import Code

ORDERS_PER_BATCH, LINES_PER_BATCH = 200, 5_000
IMPORTED = (ImportOutcome.READY, ImportOutcome.NEEDS_REVIEW)

# Called for each result, problem and remark.
Report = Callable[["ImportResult | Problem | Remark"], None]
# Called with the share of the file that was read, from 0 to 1.
Progress = Callable[[float], None]


@dataclass(slots=True)
class Summary:
    """Counts of an import. No lists: a million orders must not fill the memory."""

    outcomes: Counter[ImportOutcome] = field(default_factory=Counter)
    # Orders by what they lack, and by their warnings.
    gaps: Counter[GapCode] = field(default_factory=Counter)
    warnings: Counter[Code] = field(default_factory=Counter)
    created_customers: set[str] = field(default_factory=set)
    remarks: int = 0
    first: OrderIn | None = None

    @property
    def is_complete(self) -> bool:
        """Return whether all orders of the file are in, as the file has them."""
        return not (self.outcomes[ImportOutcome.REFUSED] or self.outcomes[ImportOutcome.DIFFERS])


def import_orders(file: Reading, target: ImportTarget, *, report: Report, progress: Progress) -> Summary:
    """Import all orders of ``file``. Raise `FileTooLarge`; the batches before it stay imported."""
    summary = Summary()
    # A dry run has no orders of earlier batches in the database: their digests, by the hash of their keys.
    earlier: dict[int, str] = {}
    for batch in _batches(_checked(file, summary, report, progress)):
        repeated = [existing(one, earlier[_hash(one)]) for one in batch if _hash(one) in earlier]
        new = [one for one in batch if _hash(one) not in earlier]
        written = write(new, target, file_name=file.path.name)
        if target.dry_run:
            earlier |= {_hash(one): digest(one.order) for one in written.results if one.outcome in IMPORTED}
        summary.created_customers |= written.created_customers
        for result in [*repeated, *written.results]:
            _count(result, summary)
            report(result)
    return summary


def _checked(file: Reading, summary: Summary, report: Report, progress: Progress) -> Iterator[CheckedOrder]:
    checker = Checker(file.conventions)
    for raw in file.orders:
        progress(file.share())
        if isinstance(raw, Unreadable):
            _refuse([raw.problem], summary, report)
            continue
        order = checker.check(raw)
        if not isinstance(order, OrderIn):
            _refuse(order, summary, report)
            continue
        for remark in remarks(raw, order):
            summary.remarks += 1
            report(remark)
        summary.first = summary.first or order
        yield CheckedOrder(raw.line, order)


def _refuse(problems: list[Problem], summary: Summary, report: Report) -> None:
    summary.outcomes[ImportOutcome.REFUSED] += 1
    for problem in problems:
        report(problem)


def _batches(checked: Iterator[CheckedOrder]) -> Iterator[list[CheckedOrder]]:
    batch: list[CheckedOrder] = []
    lines = 0
    for one in checked:
        batch.append(one)
        lines += len(one.order.lines)
        if len(batch) >= ORDERS_PER_BATCH or lines >= LINES_PER_BATCH:
            yield batch
            batch, lines = [], 0
    if batch:
        yield batch


def _hash(one: CheckedOrder | ImportResult) -> int:
    return hash(one.order.key)


def _count(one: ImportResult, summary: Summary) -> None:
    summary.outcomes[one.outcome] += 1
    summary.warnings.update({warning.code for warning in one.warnings})
    summary.gaps.update({gap.code for gap in one.gaps})
