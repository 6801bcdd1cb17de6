"""Orders with what needs a connector: push, retry, and what became of each attempt."""

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse

from erp_connectors.admin.acts import Acting
from erp_connectors.admin.columns import OrgColumn
from erp_connectors.admin.filters import NeedsAttention
from erp_connectors.admin.order_acts import ORDER_ACTS
from erp_connectors.admin.retrying import retry_all, tell_refusals
from erp_connectors.models import ERPExport
from erp_connectors.services.push import PushRefused, push_many
from erp_connectors.services.situation import situation_of_order
from erp_connectors.services.timeline import exports_of, timeline
from orderflow.orders.admin import DraftOrderAdmin
from orderflow.orders.models import DraftOrder
from orderflow.orders.sheet import sheet_of
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.permissions import signed_in

admin.site.unregister(DraftOrder)


class OrderNeedsAttention(NeedsAttention):
    def wanted(self) -> Q:
        contradicted = ERPExport.objects.filter(conflict_json__isnull=False).values("draft_order")
        return Q(status__in=(DraftStatus.NEEDS_REVIEW, DraftStatus.ERROR)) | Q(pk__in=contradicted)


@admin.register(DraftOrder)
class PushableOrderAdmin(Acting, OrgColumn, DraftOrderAdmin):
    acts = ORDER_ACTS
    change_form_template = "admin/orders/draftorder/change_form.html"
    actions = (*DraftOrderAdmin.actions, "push_orders", "retry_orders")
    list_display = [
        "external_order_number", "customer", "status", "trouble", "line_count", "erp_order_id", "created_at"
    ]  # fmt: skip
    list_filter = [OrderNeedsAttention, *DraftOrderAdmin.list_filter]
    search_fields = [*DraftOrderAdmin.search_fields, "exports__filename"]
    search_help_text = f"{DraftOrderAdmin.search_help_text}, file name"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        latest = ERPExport.objects.filter(draft_order=OuterRef("pk")).order_by("-created_at")
        orders: QuerySet[Any] = (
            super().get_queryset(request).annotate(latest_error=Subquery(latest.values("error_json")[:1]))
        )
        return orders

    @admin.display(description="trouble")
    def trouble(self, draft: Any) -> str:
        return (
            str((draft.latest_error or {}).get("message", "")) if draft.status != DraftStatus.PUSHED else ""
        )

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # What can't be changed is laid out for reading, without the cost of a form.
        return super().get_fields(request, obj) if self.has_change_permission(request, obj) else ()

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return super().get_inlines(request, obj) if self.has_change_permission(request, obj) else []

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        draft = context.get("original")
        if draft is not None:
            exports = exports_of(draft)
            situation = situation_of_order(draft, exports)
            context |= {
                "situation": situation,
                "exports": exports,
                "several": len(exports) > 1,
                "timeline": timeline(draft, exports),
                "sheet": None if context["inline_admin_formsets"] else sheet_of(draft),
                "buttons": self.buttons(request, draft, situation.action),
            }
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.action(description="Push to the ERP", permissions=["push"])
    def push_orders(self, request: HttpRequest, orders: QuerySet[DraftOrder]) -> None:
        ids = list(orders.values_list("pk", flat=True))
        results = push_many(ids, actor=signed_in(request)).values()
        pushed = [result for result in results if not isinstance(result, PushRefused)]
        started = sum(result.created for result in pushed)
        self._tell(request, f"{started} orders are on their way to the ERP.", started)
        before = len(pushed) - started
        self._tell(request, f"{before} were pushed before; nothing is sent twice.", before)
        tell_refusals(request, (result for result in results if isinstance(result, PushRefused)))

    @admin.action(description="Retry the push of orders in ERROR", permissions=["push"])
    def retry_orders(self, request: HttpRequest, orders: QuerySet[DraftOrder]) -> None:
        retry_all(request, list(orders.values_list("pk", flat=True)))

    def _tell(self, request: HttpRequest, text: str, count: int) -> None:
        if count:
            self.message_user(request, text)
