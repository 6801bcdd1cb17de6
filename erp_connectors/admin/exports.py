"""Exports as a list; the pages of one are in `export_pages`."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from erp_connectors.admin.bulk_runs import start_run
from erp_connectors.admin.columns import OrgColumn
from erp_connectors.admin.export_pages import ExportPages
from erp_connectors.admin.filters import NeedsAttention, Overdue
from erp_connectors.admin.linked_filters import Unsettled
from erp_connectors.bulk.models import BulkAction
from erp_connectors.models import ERPExport


@admin.register(ERPExport)
class ERPExportAdmin(ExportPages, OrgColumn):
    actions = ("retry",)
    # A phone shows the first columns only, and file names are long.
    list_display = ("order_number", "status", "trouble", "erp_number", "created_at", "filename")
    list_display_links = ("order_number", "filename")
    ordering = ("-created_at",)
    list_filter = (NeedsAttention, Overdue, Unsettled, "status", "failed_as", "created_at")
    list_select_related = ("draft_order", "org")
    search_fields = (
        "filename",
        "draft_order__external_order_number",
        "erp_order_id",
        "draft_order__customer__name",
    )
    show_full_result_count = False

    @admin.display(description="order", ordering="draft_order__external_order_number")
    def order_number(self, export: ERPExport) -> str:
        return str(export.draft_order)

    @admin.display(description="ERP number", ordering="erp_order_id")
    def erp_number(self, export: ERPExport) -> str:
        return export.erp_order_id or "-"

    @admin.display(description="trouble")
    def trouble(self, export: ERPExport) -> str:
        if export.conflict_json:
            return "contradicting answers"
        if export.is_overdue:
            return "the ERP's answer is overdue"
        return str((export.error_json or {}).get("message", ""))[:80]

    @admin.action(description=BulkAction.RETRY.label, permissions=["push"])
    def retry(self, request: HttpRequest, exports: QuerySet[ERPExport]) -> HttpResponse | None:
        return start_run(request, BulkAction.RETRY, exports.values_list("draft_order_id", flat=True))
