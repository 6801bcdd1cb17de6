"""Order warnings as data: code and parameters. `messages` has their texts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from orderflow import messages
from orderflow.messages import Message


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


MESSAGES = {
    Code.ORDER_NUMBER_REPEATED: "order_warning.number_repeated",
    Code.LETTERS_LOOK_ALIKE: "order_warning.letters_look_alike",
    Code.CUSTOMER_CHANGED: "order_warning.customer_changed",
    Code.LINE_CURRENCY_DIFFERS: "order_warning.line_currency_differs",
    Code.PRICE_NOT_POSITIVE: "order_warning.price_not_positive",
    Code.PRICE_HAS_DECIMALS: "order_warning.price_has_decimals",
    Code.QUANTITY_UNUSUAL: "order_warning.quantity_unusual",
    Code.ORDER_DATE_IMPLAUSIBLE: "order_warning.order_date_implausible",
    Code.DELIVERY_DATE_IMPLAUSIBLE: "order_warning.delivery_date_implausible",
    Code.DELIVERY_DATE_PAST: "order_warning.delivery_date_past",
    Code.DELIVERY_BEFORE_ORDER_DATE: "order_warning.delivery_before_order_date",
    Code.ERP_NUMBER_SHARED: "order_warning.erp_number_shared",
    Code.ERP_NUMBER_PLACEHOLDER: "order_warning.erp_number_placeholder",
}


@dataclass(frozen=True, slots=True)
class OrderWarning:
    """``params`` are JSON values: texts, numbers, and lists of them."""

    code: Code
    params: Mapping[str, Any] = field(default_factory=dict)

    def message(self) -> Message:
        given = dict(self.params)
        given.pop("order_ids", None)
        if "keys" in given:
            given["keys"] = ", ".join(given["keys"])
        if "lines" in given:
            given["lines"] = _lines(given["lines"], given.pop("count"))
        return Message(MESSAGES[self.code], **given)

    def text(self) -> str:
        """Return the text in the active language."""
        return messages.text(self.message())

    def english(self) -> str:
        """Return the English text, for API answers and command output."""
        return messages.english(self.message())


def _lines(numbers: list[int], count: int) -> Message | str:
    listed = ", ".join(map(str, numbers))
    return Message("order_warning.lines_and_more", listed=listed, n=count) if count > len(numbers) else listed
