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
from orderflow.orders.importing.documents import Found, OrderIn, Unreadable
from orderflow.orders.importing.documents import Problem as Problem
from orderflow.orders.importing.documents import Remark as Remark
from orderflow.orders.importing.reading import Reading
from orderflow.orders.importing.writing import Became as Became
from orderflow.orders.importing.writing import Checked, digest, there, write
from orderflow.orders.importing.writing import Into as Into
from orderflow.orders.importing.writing import Outcome as Outcome

ORDERS_PER_BATCH, LINES_PER_BATCH = 200, 5_000

# Called for each order, problem and remark; and with the share of the file that was read, from 0 to 1.
Tell = Callable[["Became | Problem | Remark"], None]
Progress = Callable[[float], None]


@dataclass(slots=True)
class Summary:
    """Counts of an import. No lists: a million orders must not fill the memory."""

    outcomes: Counter[str] = field(default_factory=Counter)
    lacking: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    created_customers: set[str] = field(default_factory=set)
    remarks: int = 0
    first: OrderIn | None = None

    @property
    def trouble(self) -> bool:
        return bool(self.outcomes[Outcome.REFUSED] or self.outcomes[Outcome.DIFFERENT])


def import_orders(file: Reading, into: Into, *, tell: Tell, progress: Progress) -> Summary:
    """Import all orders of ``file``. Raise `FileTooLarge`; the batches before it stay imported."""
    summary = Summary()
    earlier: dict[int, str] = {}
    for batch in _batches(_checked(file, summary, tell, progress)):
        repeated = list(_repeated(batch, earlier)) if into.dry_run else []
        lines = {one.line for one in repeated}
        fresh = [one for one in batch if one.line not in lines]
        written = write(fresh, into, file_name=file.path.name)
        summary.created_customers |= written.created_customers
        for became in [*repeated, *written.became]:
            _count(became, summary)
            tell(became)
    return summary


def _checked(file: Reading, summary: Summary, tell: Tell, progress: Progress) -> Iterator[Checked]:
    checker = Checker(file.conventions)
    for found in file.orders:
        progress(file.share())
        problems, order = _result(found, checker)
        if order is None or isinstance(found, Unreadable):
            summary.outcomes[Outcome.REFUSED] += 1
            for problem in problems:
                tell(problem)
            continue
        for remark in remarks(found, order):
            summary.remarks += 1
            tell(remark)
        summary.first = summary.first or order
        yield Checked(found.line, order)


def _result(found: Found | Unreadable, checker: Checker) -> tuple[list[Problem], OrderIn | None]:
    if isinstance(found, Unreadable):
        return [found.problem], None
    result = checker.check(found)
    return ([], result) if isinstance(result, OrderIn) else (result, None)


def _batches(checked: Iterator[Checked]) -> Iterator[list[Checked]]:
    batch: list[Checked] = []
    lines = 0
    for one in checked:
        batch.append(one)
        lines += len(one.order.lines)
        if len(batch) >= ORDERS_PER_BATCH or lines >= LINES_PER_BATCH:
            yield batch
            batch, lines = [], 0
    if batch:
        yield batch


def _repeated(batch: Sequence[Checked], earlier: dict[int, str]) -> Iterator[Became]:
    """Yield the orders that an earlier batch of a dry run had: nothing of that batch is in the database."""
    for one in batch:
        contents = digest(one.order)
        if hash(one.order.key) in earlier:
            yield there(one, earlier[hash(one.order.key)])
        earlier.setdefault(hash(one.order.key), contents)


def _count(one: Became, summary: Summary) -> None:
    summary.outcomes[one.outcome] += 1
    summary.warnings.update(warning.code.value for warning in one.warnings)
    if one.outcome == Outcome.NEEDS_REVIEW:
        # "line 7: SKU is missing" of many orders is counted as one gap.
        summary.lacking.update({gap.split(": ")[-1] for gap in one.why})
