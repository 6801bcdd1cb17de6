"""Import orders from a file of any size: each order completely or not at all, and never twice.

formats, encodings      recognise the file
delimited, workbook     bytes to a table; json_lines: bytes to orders
columns, rows           a table to orders
amounts, dates, values  one value
checking                check an order and list all its problems
writing                 write batches to the database
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from orderflow.orders.importing.checking import Checker, remarks
from orderflow.orders.importing.documents import OrderIn, RawOrder, Unreadable
from orderflow.orders.importing.documents import Problem as Problem
from orderflow.orders.importing.documents import Remark as Remark
from orderflow.orders.importing.reading import Reading
from orderflow.orders.importing.writing import CheckedOrder, digest, existing, write
from orderflow.orders.importing.writing import ImportResult as ImportResult
from orderflow.orders.importing.writing import ImportTarget as ImportTarget
from orderflow.orders.importing.writing import Outcome as Outcome
from orderflow.orders.readiness import GapCode
from orderflow.orders.warning_texts import Code

ORDERS_PER_BATCH, LINES_PER_BATCH = 200, 5_000

# Called for each result, problem and remark.
Report = Callable[["ImportResult | Problem | Remark"], None]
# Called with the share of the file that was read, from 0 to 1.
Progress = Callable[[float], None]


@dataclass(slots=True)
class Summary:
    """Counts of an import. No lists: a million orders must not fill the memory."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    # Orders by what they lack, and by their warnings.
    gaps: Counter[GapCode] = field(default_factory=Counter)
    warnings: Counter[Code] = field(default_factory=Counter)
    created_customers: set[str] = field(default_factory=set)
    remarks: int = 0
    first: OrderIn | None = None

    @property
    def is_complete(self) -> bool:
        """Return whether all orders of the file are in, as the file has them."""
        return not (self.outcomes[Outcome.REFUSED] or self.outcomes[Outcome.DIFFERS])


def import_orders(file: Reading, target: ImportTarget, *, report: Report, progress: Progress) -> Summary:
    """Import all orders of ``file``. Raise `FileTooLarge`; the batches before it stay imported."""
    summary = Summary()
    earlier: dict[int, str] = {}
    for batch in _batches(_checked(file, summary, report, progress)):
        repeated = list(_repeated(batch, earlier)) if target.dry_run else []
        lines = {one.line for one in repeated}
        fresh = [one for one in batch if one.line not in lines]
        written = write(fresh, target, file_name=file.path.name)
        summary.created_customers |= written.created_customers
        for result in [*repeated, *written.results]:
            _count(result, summary)
            report(result)
    return summary


def _checked(file: Reading, summary: Summary, report: Report, progress: Progress) -> Iterator[CheckedOrder]:
    checker = Checker(file.conventions)
    for raw in file.orders:
        progress(file.share())
        problems, order = _result(raw, checker)
        if order is None or isinstance(raw, Unreadable):
            summary.outcomes[Outcome.REFUSED] += 1
            for problem in problems:
                report(problem)
            continue
        for remark in remarks(raw, order):
            summary.remarks += 1
            report(remark)
        summary.first = summary.first or order
        yield CheckedOrder(raw.line, order)


def _result(raw: RawOrder | Unreadable, checker: Checker) -> tuple[list[Problem], OrderIn | None]:
    if isinstance(raw, Unreadable):
        return [raw.problem], None
    result = checker.check(raw)
    return ([], result) if isinstance(result, OrderIn) else (result, None)


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


def _repeated(batch: Sequence[CheckedOrder], earlier: dict[int, str]) -> Iterator[ImportResult]:
    """Yield the orders that an earlier batch of a dry run had: nothing of that batch is in the database."""
    for one in batch:
        contents = digest(one.order)
        if hash(one.order.key) in earlier:
            yield existing(one, earlier[hash(one.order.key)])
        earlier.setdefault(hash(one.order.key), contents)


def _count(one: ImportResult, summary: Summary) -> None:
    summary.outcomes[one.outcome] += 1
    summary.warnings.update({warning.code for warning in one.warnings})
    summary.gaps.update({gap.code for gap in one.gaps})
