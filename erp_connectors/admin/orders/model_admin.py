"""Orders with what needs a connector: push, retry, and what became of each attempt."""

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from erp_connectors.admin.bulk.model_admin import start_run
from erp_connectors.admin.common.columns import OrgColumn
from erp_connectors.admin.common.filters import NeedsAttention, OrderOverdue, Since
from erp_connectors.admin.common.linked_filters import ErpNumberDoubtful
from erp_connectors.admin.common.list_pages import (
    LAST_DAYS,
    NEEDS_ATTENTION,
    OVERDUE,
    RETRY_ALL,
    TODAY,
    Chip,
    ForAll,
    ListPage,
    badge,
    short_time,
)
from erp_connectors.admin.common.row_actions import RowActionPages
from erp_connectors.admin.orders.row_actions import ORDER_ACTIONS
from erp_connectors.bulk.models import BulkAction
from erp_connectors.models import ERPExport
from erp_connectors.services.status.event_texts import fault_text
from erp_connectors.services.status.order_status import summarize_order
from erp_connectors.services.status.search import search_orders
from erp_connectors.services.status.timeline import exports_of, timeline
from orderflow.orders.admin import DraftOrderAdmin
from orderflow.orders.models import DraftOrder
from orderflow.orders.order_warnings import warnings_of
from orderflow.orders.sheet import sheet_of
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.permissions import signed_in

admin.site.unregister(DraftOrder)


class OrderNeedsAttention(NeedsAttention):
    def wanted(self) -> tuple[Q, ...]:
        contradicted = ERPExport.objects.filter(conflict_json__isnull=False).values("draft_order")
        return Q(status__in=(DraftStatus.NEEDS_REVIEW, DraftStatus.ERROR)), Q(pk__in=contradicted)


@admin.register(DraftOrder)
class PushableOrderAdmin(ListPage, RowActionPages, OrgColumn, DraftOrderAdmin):
    row_actions = ORDER_ACTIONS
    change_form_template = "admin/orders/draftorder/change_form.html"
    chips = (
        NEEDS_ATTENTION,
        Chip(_("Waiting for approval"), "status__exact", DraftStatus.READY),
        Chip(_("On their way"), "status__exact", DraftStatus.PUSHING),
        OVERDUE,
        TODAY,
        LAST_DAYS,
        Chip(_("In ERROR"), "status__exact", DraftStatus.ERROR),
    )
    nothing_yet = _("No orders yet. They come in by the API or by manage.py import_orders.")
    actions = ("ready", "approve", "push", "retry", "reject")
    for_all = (
        ForAll(RETRY_ALL, "retry", "status__exact", DraftStatus.ERROR),
        ForAll(_("Push all of these"), "push", "status__exact", DraftStatus.APPROVED),
    )
    list_display = [
        "external_order_number", "customer", "shown_status", "problem", "erp_order_id", "line_count", "created"
    ]  # fmt: skip
    sortable_by = ("created",)
    list_filter = [OrderNeedsAttention, OrderOverdue, Since, ErpNumberDoubtful, *DraftOrderAdmin.list_filter]
    search_help_text = _("Order number, ERP number, customer's name or number, beginning of the file name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        latest = ERPExport.objects.filter(draft_order=OuterRef("pk")).order_by("-created_at")
        orders: QuerySet[Any] = (
            super().get_queryset(request).annotate(latest_error=Subquery(latest.values("error_json")[:1]))
        )
        return orders

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        text = search_term.strip()
        return (search_orders(signed_in(request), queryset, text) if text else queryset), False

    @admin.display(description=_("status"))
    def shown_status(self, draft: DraftOrder) -> SafeString:
        return badge(draft.status, draft.get_status_display())

    @admin.display(description=_("created"), ordering="created_at")
    def created(self, draft: DraftOrder) -> SafeString | str:
        return short_time(draft.created_at)

    @admin.display(description=_("problem"))
    def problem(self, draft: Any) -> str:
        return fault_text(draft.latest_error or {}) if draft.status != DraftStatus.PUSHED else ""

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
            summary = summarize_order(draft, exports)
            context |= {
                "summary": summary,
                "warnings": [warning.text() for warning in warnings_of(draft)],
                "exports": exports,
                "several": len(exports) > 1,
                "timeline": timeline(draft, exports),
                "sheet": None if context["inline_admin_formsets"] else sheet_of(draft),
                "buttons": self.buttons(request, draft, summary.action),
            }
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.action(description=BulkAction.READY.label, permissions=["approve"])
    def ready(self, request: HttpRequest, orders: QuerySet[DraftOrder]) -> HttpResponse | None:
        return start_run(request, BulkAction.READY, orders.values_list("pk", flat=True))

    @admin.action(description=BulkAction.APPROVE.label, permissions=["approve"])
    def approve(self, request: HttpRequest, orders: QuerySet[DraftOrder]) -> HttpResponse | None:
        return start_run(request, BulkAction.APPROVE, orders.values_list("pk", flat=True))

    @admin.action(description=BulkAction.PUSH.label, permissions=["push"])
    def push(self, request: HttpRequest, orders: QuerySet[DraftOrder]) -> HttpResponse | None:
        return start_run(request, BulkAction.PUSH, orders.values_list("pk", flat=True))

    @admin.action(description=BulkAction.RETRY.label, permissions=["push"])
    def retry(self, request: HttpRequest, orders: QuerySet[DraftOrder]) -> HttpResponse | None:
        return start_run(request, BulkAction.RETRY, orders.values_list("pk", flat=True))

    @admin.action(description=BulkAction.REJECT.label, permissions=["approve"])
    def reject(self, request: HttpRequest, orders: QuerySet[DraftOrder]) -> HttpResponse | None:
        return start_run(request, BulkAction.REJECT, orders.values_list("pk", flat=True))
