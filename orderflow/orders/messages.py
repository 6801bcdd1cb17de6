"""Templates of the messages about orders: what an order lacks, what is unusual, and why it can't be changed."""

from datetime import date

from django.utils.formats import date_format

from orderflow.messages import Template, register
from orderflow.orders.states import DraftStatus


def status_label(value: str) -> str:
    """Return a status as lists and pages show it."""
    return str(DraftStatus(value).label) if value in DraftStatus.values else value


def _day(value: str) -> str:
    return date_format(date.fromisoformat(value), "DATE_FORMAT")


STATUS = {"status": status_label}
_DAYS = {"date": _day, "order_date": _day}

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
            "Order %(order)s has the status “%(status)s”; only an order that is ready can be approved.",
            formats=STATUS,
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
register(
    {
        "order_warning.number_repeated": Template(
            "Another order of this customer has the same order number (%(count)s in all, the newest is "
            "%(status)s). Check that nothing is ordered twice.",
            formats=STATUS,
        ),
        "order_warning.letters_look_alike": "Letters of another script look like Latin ones: %(letters)s, in "
        "%(keys)s. Check that they are meant; to the ERP they are other letters.",
        "order_warning.customer_changed": "The customer was changed after the approval. The order is sent as "
        "approved, with %(approved)s; now the customer is %(now)s. To send that, take the approval back and approve"
        " again.",
        "order_warning.line_currency_differs": "The order is in %(currency)s, but some lines are in another currency "
        "(lines: %(lines)s).",
        "order_warning.price_not_positive": "The unit price is zero or below (lines: %(lines)s).",
        "order_warning.price_has_decimals": "%(currency)s has no decimals, but the unit price has (lines: %(lines)s).",
        "order_warning.quantity_unusual": "The quantity is far above what this customer usually orders (lines: "
        "%(lines)s).",
        "order_warning.order_date_implausible": Template(
            "The order date %(date)s is implausible. Check the year.", formats=_DAYS
        ),
        "order_warning.delivery_date_implausible": Template(
            "The requested delivery date %(date)s is implausible. Check the year.", formats=_DAYS
        ),
        "order_warning.delivery_date_past": Template(
            "The requested delivery date %(date)s is in the past.", formats=_DAYS
        ),
        "order_warning.delivery_before_order_date": Template(
            "The requested delivery date %(date)s is before the order date %(order_date)s.", formats=_DAYS
        ),
        "order_warning.erp_number_shared": "The ERP gave its number %(number)s to another order, too. Ask the ERP "
        "team which order it stands for.",
        "order_warning.erp_number_placeholder": "The ERP number %(number)s looks like a placeholder. Ask the ERP team "
        "for the real number.",
        "order_warning.lines_and_more": "%(listed)s and more, %(n)s in all",
    }
)
