"""Find what a draft lacks before it can be approved."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from orderflow.messages import Message
from orderflow.orders.models import DraftOrder, DraftOrderLine


class GapCode(StrEnum):
    CUSTOMER_MISSING = "CUSTOMER_MISSING"
    CURRENCY_MISSING = "CURRENCY_MISSING"
    NO_LINES = "NO_LINES"
    QUANTITY_NOT_POSITIVE = "QUANTITY_NOT_POSITIVE"
    UNIT_MISSING = "UNIT_MISSING"
    SKU_MISSING = "SKU_MISSING"


GAP_MESSAGES = {
    GapCode.CUSTOMER_MISSING: Message("order.customer_missing"),
    GapCode.CURRENCY_MISSING: Message("order.currency_missing"),
    GapCode.NO_LINES: Message("order.no_lines"),
    GapCode.QUANTITY_NOT_POSITIVE: Message("order.quantity_not_positive"),
    GapCode.UNIT_MISSING: Message("order.unit_missing"),
    GapCode.SKU_MISSING: Message("order.sku_missing"),
}


class Gap(NamedTuple):
    """``line_no`` None: the gap is in the order's header."""

    code: GapCode
    line_no: int | None = None

    def message(self) -> Message:
        gap = GAP_MESSAGES[self.code]
        return gap if self.line_no is None else Message("order.in_line", line=self.line_no, gap=gap)


def missing_for_ready(draft: DraftOrder) -> list[Message]:
    """Return one message per gap, naming the field or the line; empty if the draft is complete."""
    return [gap.message() for gap in gaps(draft, list(draft.lines.all()))]


def gaps(draft: DraftOrder, lines: Sequence[DraftOrderLine]) -> list[Gap]:
    """Return what the draft lacks; ``lines`` are its lines, also of a draft that is not in the database yet."""
    return [*_gaps_of_header(draft, lines), *(gap for line in lines for gap in _gaps_of_line(line))]


def _gaps_of_header(draft: DraftOrder, lines: Sequence[DraftOrderLine]) -> Iterator[Gap]:
    if draft.customer_id is None:
        yield Gap(GapCode.CUSTOMER_MISSING)
    if not draft.currency:
        yield Gap(GapCode.CURRENCY_MISSING)
    if not lines:
        yield Gap(GapCode.NO_LINES)


def _gaps_of_line(line: DraftOrderLine) -> Iterator[Gap]:
    if line.qty is None or line.qty <= 0:
        yield Gap(GapCode.QUANTITY_NOT_POSITIVE, line.line_no)
    if not line.uom:
        yield Gap(GapCode.UNIT_MISSING, line.line_no)
    if not line.internal_sku:
        yield Gap(GapCode.SKU_MISSING, line.line_no)
