"""Search orders, exports and ack files by order number, ERP number, customer or file name."""

import re
from uuid import UUID

from django.db.models import QuerySet

from erp_connectors.models import AckFile, ERPExport
from orderflow.orders import search
from orderflow.orders.audited import MAX_IDS, order_ids
from orderflow.orders.models import DraftOrder
from orderflow.search.lookups import contains
from orderflow.tenancy.models import User

_ANSWER = re.compile("^(ack|error)_(?=sales_order_)")


def search_orders(user: User, orders: QuerySet[DraftOrder], text: str) -> QuerySet[DraftOrder]:
    """Return the orders found by the file name of an export, or as `orderflow.orders.search` does."""
    file_name = _file_name(text)
    if file_name:
        exports = ERPExport.objects.visible_to(user).filter(filename__startswith=file_name)
        return orders.filter(pk__in=exports.order_by().values("draft_order"))
    return search.search(orders, user, text)


def search_exports(user: User, exports: QuerySet[ERPExport], text: str) -> QuerySet[ERPExport]:
    """Return the exports found by file name, or whose order ``text`` finds."""
    file_name = _file_name(text)
    if file_name:
        return exports.filter(filename__startswith=file_name)
    orders = search.search(DraftOrder.objects.visible_to(user), user, text)
    return exports.filter(draft_order__in=orders.order_by().values("pk"))


def search_acks(user: User, acks: QuerySet[AckFile], text: str) -> QuerySet[AckFile]:
    """Return the ack files whose name contains ``text``, or whose export it finds."""
    named = acks.filter(contains(text, "name"))
    if _file_name(text):
        return named
    exports = ERPExport.objects.visible_to(user)
    return named | acks.filter(export__in=search_exports(user, exports, text).order_by().values("pk"))


def export_ids(user: User, text: str) -> list[str]:
    """Return the ids of exports found by file name or by order number; for the audit log. At most `MAX_IDS`."""
    exports = ERPExport.objects.visible_to(user)
    file_name = _file_name(text)
    found = (
        exports.filter(filename__startswith=file_name)
        if file_name
        else exports.filter(draft_order__in=[UUID(pk) for pk in order_ids(user, text)])
    )
    return [str(pk) for pk in found.order_by("-created_at").values_list("pk", flat=True)[:MAX_IDS]]


def _file_name(text: str) -> str:
    """Return the (partial) export file name that ``text`` is or, as the name of an answer, contains; else empty."""
    name = _ANSWER.sub("", text.strip())
    return name.replace(".json.json", ".json") if name.startswith("sales_order_") else ""
