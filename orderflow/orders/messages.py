"""Templates of the messages about orders: what an order lacks, and why it can't be changed."""

from orderflow.messages import Template, register
from orderflow.orders.states import DraftStatus


def status_label(value: str) -> str:
    """Return a status as lists and pages show it."""
    return str(DraftStatus(value).label) if value in DraftStatus.values else value


STATUS = {"status": status_label}

register(
    {
        "order.customer_missing": "customer is missing",
        "order.currency_missing": "currency is missing",
        "order.no_lines": "the order has no lines",
        "order.quantity_not_positive": "quantity must be above 0",
        "order.unit_missing": "unit is missing",
        "order.sku_missing": "SKU is missing",
        "order.in_line": "line %(line)s: %(gap)s",
        "order.not_ready": "Order %(order)s is not ready: %(missing)s.",
        "order.approve_needs_ready": Template(
            "Order %(order)s has the status “%(status)s”; only a READY order can be approved.", formats=STATUS
        ),
        "order.mark_ready_needs_review": Template(
            "Order %(order)s has the status “%(status)s”; only an order in review can be marked ready.",
            formats=STATUS,
        ),
        "order.reject_needs_review": Template(
            "Order %(order)s has the status “%(status)s”; only an order in review can be rejected.",
            formats=STATUS,
        ),
        "order.not_editable": Template(
            "Order %(order)s has the status “%(status)s” and can't be changed any more.", formats=STATUS
        ),
        "order.not_deletable": Template(
            "Order %(order)s has the status “%(status)s” and can't be deleted.", formats=STATUS
        ),
        "order.approved_before": "Order %(order)s was approved before and can't be deleted. Reject it instead.",
        "order.status_changed": Template(
            "Order %(order)s no longer has the status “%(status)s”.", formats=STATUS
        ),
        "order.illegal_move": Template(
            "An order can't go from “%(status)s” to “%(to)s”.", formats={**STATUS, "to": status_label}
        ),
    }
)
