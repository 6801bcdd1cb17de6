"""Orders with the actions that need a connector: push and retry."""

from collections.abc import Iterable

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from erp_connectors.services.push import PushRefused, push_many, retry_push
from orderflow.moves import LostRace
from orderflow.orders.admin import DraftOrderAdmin
from orderflow.orders.models import DraftOrder
from orderflow.tenancy.permissions import signed_in

admin.site.unregister(DraftOrder)


@admin.register(DraftOrder)
class PushableOrderAdmin(DraftOrderAdmin):
    actions = (*DraftOrderAdmin.actions, "push_orders", "retry_orders")

    @admin.action(description="Push to the ERP", permissions=["push"])
    def push_orders(self, request: HttpRequest, orders: QuerySet[DraftOrder]) -> None:
        results = push_many([order.pk for order in orders], actor=signed_in(request))
        started = sum(
            1 for result in results.values() if not isinstance(result, PushRefused) and result.created
        )
        before = sum(1 for result in results.values() if not isinstance(result, PushRefused)) - started
        self._tell(request, f"{started} orders are on their way to the ERP.", started)
        self._tell(request, f"{before} were pushed before; nothing is sent twice.", before)
        self._complain(request, (result for result in results.values() if isinstance(result, PushRefused)))

    @admin.action(description="Retry the push of orders in ERROR", permissions=["push"])
    def retry_orders(self, request: HttpRequest, orders: QuerySet[DraftOrder]) -> None:
        refused, started = [], 0
        for order in orders:
            try:
                retry_push(order.pk, actor=signed_in(request))
                started += 1
            except (PushRefused, LostRace) as error:
                refused.append(error)
        self._tell(request, f"{started} orders are on their way again.", started)
        self._complain(request, refused)

    def _tell(self, request: HttpRequest, text: str, count: int) -> None:
        if count:
            self.message_user(request, text)

    def _complain(self, request: HttpRequest, refused: Iterable[Exception]) -> None:
        for text in sorted({str(error) for error in refused})[:10]:
            self.message_user(request, text, messages.ERROR)
