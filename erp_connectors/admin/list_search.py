"""One box for what people have at hand: an order's or the ERP's number, a customer, a file's name."""

import re

from django.db.models import QuerySet
from django.http import HttpRequest

from erp_connectors.models import AckFile, ERPExport
from orderflow.orders.models import Customer, DraftOrder
from orderflow.orders.search import search
from orderflow.tenancy.permissions import signed_in

_ANSWER = re.compile("^(ack|error)_(?=sales_order_)")


def search_orders(request: HttpRequest, orders: QuerySet[DraftOrder], text: str) -> QuerySet[DraftOrder]:
    file_name = _file_name(text)
    if file_name:
        exports = ERPExport.objects.visible_to(signed_in(request)).filter(filename__startswith=file_name)
        return orders.filter(pk__in=exports.order_by().values("draft_order"))
    return search(orders, Customer.objects.visible_to(signed_in(request)), text)


def search_exports(request: HttpRequest, exports: QuerySet[ERPExport], text: str) -> QuerySet[ERPExport]:
    file_name = _file_name(text)
    if file_name:
        return exports.filter(filename__startswith=file_name)
    orders = search_orders(request, DraftOrder.objects.visible_to(signed_in(request)), text)
    return exports.filter(draft_order__in=orders.order_by().values("pk"))


def search_acks(request: HttpRequest, acks: QuerySet[AckFile], text: str) -> QuerySet[AckFile]:
    """By the file's own name, or by the export that it answers."""
    named = acks.filter(name__icontains=text)
    if _file_name(text):
        return named
    exports = ERPExport.objects.visible_to(signed_in(request))
    return named | acks.filter(export__in=search_exports(request, exports, text).order_by().values("pk"))


def _file_name(text: str) -> str:
    """As much of an export's file name as the text begins with, also where it is the name of an answer."""
    name = _ANSWER.sub("", text.strip())
    return name.replace(".json.json", ".json") if name.startswith("sales_order_") else ""
