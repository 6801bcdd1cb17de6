"""What a draft still lacks before it can be approved, in words."""

from collections.abc import Sequence

from orderflow.orders.models import DraftOrder, DraftOrderLine


def missing_for_ready(draft: DraftOrder, lines: Sequence[DraftOrderLine] | None = None) -> list[str]:
    """Empty: complete. Otherwise one sentence per gap, naming the field or the line.

    ``lines`` are those of a draft that is not in the database yet.
    """
    missing = []
    if draft.customer_id is None:
        missing.append("customer is missing")
    if not draft.currency:
        missing.append("currency is missing")
    lines = list(draft.lines.all()) if lines is None else lines
    if not lines:
        missing.append("it has no lines")
    for line in lines:
        if line.qty is None or line.qty <= 0:
            missing.append(f"line {line.line_no}: quantity must be above 0")
        if not line.uom:
            missing.append(f"line {line.line_no}: unit is missing")
        if not line.internal_sku:
            missing.append(f"line {line.line_no}: SKU is missing")
    return missing
