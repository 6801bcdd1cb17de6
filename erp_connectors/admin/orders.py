"""Orders with what needs a connector: push, retry, and what became of each attempt."""

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from erp_connectors.admin.bulk_runs import start_run
from erp_connectors.admin.columns import OrgColumn
from erp_connectors.admin.filters import NeedsAttention
from erp_connectors.bulk.models import BulkAction
from erp_connectors.models import ERPExport
from orderflow.orders.admin import DraftOrderAdmin
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus

admin.site.unregister(DraftOrder)


class OrderNeedsAttention(NeedsAttention):
    def wanted(self) -> Q:
        contradicted = ERPExport.objects.filter(conflict_json__isnull=False).values("draft_order")
        return Q(status__in=(DraftStatus.NEEDS_REVIEW, DraftStatus.ERROR)) | Q(pk__in=contradicted)


@admin.register(DraftOrder)
class PushableOrderAdmin(OrgColumn, DraftOrderAdmin):
    actions = ("ready", "approve", "push", "retry", "reject")
    list_display = [
        "external_order_number", "customer", "status", "trouble", "line_count", "erp_order_id", "created_at"
    ]  # fmt: skip
    list_filter = [OrderNeedsAttention, *DraftOrderAdmin.list_filter]
    search_fields = [*DraftOrderAdmin.search_fields, "exports__filename"]
    search_help_text = f"{DraftOrderAdmin.search_help_text}, file name"
    fields = [*DraftOrderAdmin.fields, "deliveries"]
    readonly_fields = [*DraftOrderAdmin.readonly_fields, "deliveries"]

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
