"""An order as a person reads it: its lines with what each comes to, and their sum where all prices are known."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext

from orderflow.orders.models import DraftOrder, DraftOrderLine

SHOWN_LINES = 1000
_CENT = Decimal("0.01")
# The largest quantity times the largest price has more digits than Python keeps by default.
_EXACT = Context(prec=60, rounding=ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class SheetLine:
    """``total`` None where the price is not known."""

    line: DraftOrderLine
    qty: Decimal
    total: Decimal | None
    currency: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """``total`` None where a price is missing, there are several currencies, or not all lines are here."""

    lines: tuple[SheetLine, ...]
    count: int
    total: Decimal | None
    currency: str

    @property
    def cut(self) -> bool:
        return self.count > len(self.lines)


def sheet_of(draft: DraftOrder) -> Sheet:
    """Two statements at most, however many lines there are."""
    rows = list(draft.lines.all()[: SHOWN_LINES + 1])
    count = len(rows) if len(rows) <= SHOWN_LINES else draft.lines.count()
    with localcontext(_EXACT):
        lines = tuple(_line(row, draft.currency) for row in rows[:SHOWN_LINES])
        currencies = {line.currency for line in lines}
        totals = [line.total for line in lines if line.total is not None]
        whole = count == len(totals) and len(currencies) == 1
        total = sum(totals, Decimal()) if whole else None
    return Sheet(lines, count, total, currencies.pop() if whole else "")


def _line(line: DraftOrderLine, currency: str) -> SheetLine:
    price = line.unit_price
    total = None if price is None else (line.qty * price).quantize(_CENT)
    return SheetLine(line, _plain(line.qty), total, line.currency or currency)


def _plain(value: Decimal) -> Decimal:
    """Return the number without trailing zeros, never as 1E+3."""
    return value.quantize(Decimal(1)) if value == value.to_integral_value() else value.normalize()
