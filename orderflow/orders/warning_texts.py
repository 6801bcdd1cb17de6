"""Codes and texts of order warnings. A warning consists of code and parameters; its text is made when it is shown."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

from django.utils import translation
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from orderflow.orders.states import DraftStatus


class Code(StrEnum):
    ORDER_NUMBER_REPEATED = "ORDER_NUMBER_REPEATED"
    LETTERS_LOOK_ALIKE = "LETTERS_LOOK_ALIKE"
    CUSTOMER_CHANGED = "CUSTOMER_CHANGED"
    LINE_CURRENCY_DIFFERS = "LINE_CURRENCY_DIFFERS"
    PRICE_NOT_POSITIVE = "PRICE_NOT_POSITIVE"
    PRICE_HAS_DECIMALS = "PRICE_HAS_DECIMALS"
    QUANTITY_UNUSUAL = "QUANTITY_UNUSUAL"
    ORDER_DATE_IMPLAUSIBLE = "ORDER_DATE_IMPLAUSIBLE"
    DELIVERY_DATE_IMPLAUSIBLE = "DELIVERY_DATE_IMPLAUSIBLE"
    DELIVERY_DATE_PAST = "DELIVERY_DATE_PAST"
    DELIVERY_BEFORE_ORDER_DATE = "DELIVERY_BEFORE_ORDER_DATE"
    ERP_NUMBER_SHARED = "ERP_NUMBER_SHARED"
    ERP_NUMBER_PLACEHOLDER = "ERP_NUMBER_PLACEHOLDER"


TEXTS: Mapping[Code, str] = {
    Code.ORDER_NUMBER_REPEATED: gettext_noop(
        "Another order of this customer has the same order number (%(count)s in all, the newest is %(status)s). "
        "Check that nothing is ordered twice."
    ),
    Code.LETTERS_LOOK_ALIKE: gettext_noop(
        "Letters of another script look like Latin ones: %(letters)s, in %(keys)s. Check that they are meant; "
        "to the ERP they are other letters."
    ),
    Code.CUSTOMER_CHANGED: gettext_noop(
        "The customer was changed after the approval. The order is sent as approved, with %(approved)s; now the "
        "customer is %(now)s. To send that, take the approval back and approve again."
    ),
    Code.LINE_CURRENCY_DIFFERS: gettext_noop(
        "The order is in %(currency)s, but some lines are in another currency (lines: %(lines)s)."
    ),
    Code.PRICE_NOT_POSITIVE: gettext_noop("The unit price is zero or below (lines: %(lines)s)."),
    Code.PRICE_HAS_DECIMALS: gettext_noop(
        "%(currency)s has no decimals, but the unit price has (lines: %(lines)s)."
    ),
    Code.QUANTITY_UNUSUAL: gettext_noop(
        "The quantity is far above what this customer usually orders (lines: %(lines)s)."
    ),
    Code.ORDER_DATE_IMPLAUSIBLE: gettext_noop("The order date %(date)s is implausible. Check the year."),
    Code.DELIVERY_DATE_IMPLAUSIBLE: gettext_noop(
        "The requested delivery date %(date)s is implausible. Check the year."
    ),
    Code.DELIVERY_DATE_PAST: gettext_noop("The requested delivery date %(date)s is in the past."),
    Code.DELIVERY_BEFORE_ORDER_DATE: gettext_noop(
        "The requested delivery date %(date)s is before the order date %(order_date)s."
    ),
    Code.ERP_NUMBER_SHARED: gettext_noop(
        "The ERP gave its number %(number)s to another order, too. Ask the ERP team which order it stands for."
    ),
    Code.ERP_NUMBER_PLACEHOLDER: gettext_noop(
        "The ERP number %(number)s looks like a placeholder. Ask the ERP team for the real number."
    ),
}


@dataclass(frozen=True, slots=True)
class OrderWarning:
    """``params`` are JSON values: texts, numbers, and lists of them."""

    code: Code
    params: Mapping[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        """Return the text in the active language."""
        return _(TEXTS[self.code]) % {
            name: _shown(name, value, self.params) for name, value in self.params.items()
        }

    def english(self) -> str:
        """Return the English text, for API answers and command output."""
        with translation.override("en"):
            return self.text()


def _shown(name: str, value: Any, params: Mapping[str, Any]) -> str:
    if name == "status":
        return str(DraftStatus(value).label)
    if name in ("date", "order_date"):
        return date_format(date.fromisoformat(value), "DATE_FORMAT")
    if name == "keys":
        return ", ".join(value)
    if name == "lines":
        listed = ", ".join(map(str, value))
        return listed if params["count"] <= len(value) else _("%(listed)s and more, %(n)s in all") % {
            "listed": listed, "n": params["count"],
        }  # fmt: skip
    return str(value)
