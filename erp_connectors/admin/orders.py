"""Orders with what needs a connector: push, retry, and what became of each attempt."""

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from erp_connectors.admin.columns import OrgColumn
from erp_connectors.admin.filters import NeedsAttention, OrderOverdue, Since
from erp_connectors.admin.list_pages import (
    LAST_DAYS,
    NEEDS_ATTENTION,
    OVERDUE,
    TODAY,
    Chip,
    ListPage,
    badge,
    short_time,
)
from erp_connectors.admin.list_search import search_orders
from erp_connectors.admin.retrying import retry_all, tell_refusals
from erp_connectors.models import ERPExport
from erp_connectors.services.push import PushRefused, push_many
from orderflow.orders.admin import DraftOrderAdmin
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.permissions import signed_in

admin.site.unregister(DraftOrder)


class OrderNeedsAttention(NeedsAttention):
    def wanted(self) -> Q:
        contradicted = ERPExport.objects.filter(conflict_json__isnull=False).values("draft_order")
        return Q(status__in=(DraftStatus.NEEDS_REVIEW, DraftStatus.ERROR)) | Q(pk__in=contradicted)


@admin.register(DraftOrder)
class PushableOrderAdmin(ListPage, OrgColumn, DraftOrderAdmin):
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
    actions = (*DraftOrderAdmin.actions, "push_orders", "retry_orders")
    list_display = [
        "external_order_number", "customer", "shown_status", "trouble", "erp_order_id", "line_count", "created"
    ]  # fmt: skip
    sortable_by = ("created",)
    list_filter = [OrderNeedsAttention, OrderOverdue, Since, *DraftOrderAdmin.list_filter]
    search_help_text = _("Order number, ERP number, customer's name or number, file name from its beginning")
    fields = [*DraftOrderAdmin.fields, "deliveries"]
    readonly_fields = [*DraftOrderAdmin.readonly_fields, "deliveries"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        latest = ERPExport.objects.filter(draft_order=OuterRef("pk")).order_by("-created_at")
        orders: QuerySet[Any] = (
            super().get_queryset(request).annotate(latest_error=Subquery(latest.values("error_json")[:1]))
        )
        return orders

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        text = search_term.strip()
        return (search_orders(request, queryset, text) if text else queryset), False

    @admin.display(description=_("status"))
    def shown_status(self, draft: DraftOrder) -> SafeString:
        return badge(draft.status, draft.get_status_display())

    @admin.display(description=_("created"), ordering="created_at")
    def created(self, draft: DraftOrder) -> SafeString | str:
        return short_time(draft.created_at)

    @admin.display(description=_("trouble"))
    def trouble(self, draft: Any) -> str:
        return (
            str((draft.latest_error or {}).get("message", "")) if draft.status != DraftStatus.PUSHED else ""
        )

    @admin.display(description="deliveries")
    def deliveries(self, draft: DraftOrder) -> SafeString | str:
        exports = draft.exports.defer("payload").order_by("-created_at")
        rows = (
            (
                reverse("admin:erp_connectors_erpexport_change", args=[export.pk]),
                export.filename,
                export.get_status_display(),
                (export.error_json or {}).get("message") or export.erp_order_id,
            )
            for export in exports
        )
        return format_html_join("", '<div><a href="{}">{}</a> <b>{}</b> {}</div>', rows) or "not pushed yet"

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
