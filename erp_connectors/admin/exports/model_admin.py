"""Exports as a list; the pages of one are in `export_pages`."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from erp_connectors.admin.bulk.model_admin import start_run
from erp_connectors.admin.common.columns import OrgColumn
from erp_connectors.admin.common.filters import NeedsAttention, Overdue, Since
from erp_connectors.admin.common.linked_filters import Delayed, Unresolved
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
from erp_connectors.admin.exports.pages import ExportPages
from erp_connectors.bulk.models import BulkAction
from erp_connectors.models import ERPExport
from erp_connectors.services.status.event_texts import fault_text
from erp_connectors.services.status.search import search_exports
from erp_connectors.states import ExportStatus
from orderflow.tenancy.permissions import signed_in

# Characters of a problem in the list.
MAX_PROBLEM = 80


@admin.register(ERPExport)
class ERPExportAdmin(ListPage, ExportPages, OrgColumn):
    chips = (
        NEEDS_ATTENTION,
        OVERDUE,
        Chip(_("Waiting"), "status__exact", ExportStatus.PENDING),
        TODAY,
        LAST_DAYS,
        Chip(_("Failed, unresolved"), "unresolved", "all"),
    )
    linked = (*OrgColumn.linked, "connection__id__exact", "conflict_json__isnull")
    nothing_yet = _("No exports yet. Approve an order and push it; its export is listed here.")
    actions = ("retry",)
    for_all = (
        ForAll(RETRY_ALL, "retry", Unresolved.parameter_name),
        ForAll(RETRY_ALL, "retry", "status__exact", ExportStatus.FAILED),
    )
    # A phone shows the first columns only, and file names are long.
    list_display = ("order_number", "shown_status", "problem", "erp_number", "created", "filename")
    sortable_by = ("created",)
    list_display_links = ("order_number", "filename")
    ordering = ("-created_at",)
    list_filter = (NeedsAttention, Overdue, Since, Unresolved, Delayed, "status", "failed_as", "created_at")
    list_select_related = ("draft_order", "org")
    search_fields = (
        "filename",
        "draft_order__external_order_number",
        "erp_order_id",
        "draft_order__customer__name",
    )
    search_help_text = _("Order number, ERP number, customer's name or number, beginning of the file name")
    show_full_result_count = False

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        text = search_term.strip()
        return (search_exports(signed_in(request), queryset, text) if text else queryset), False

    @admin.display(description=_("status"))
    def shown_status(self, export: ERPExport) -> SafeString:
        return badge(export.status, export.get_status_display())

    @admin.display(description=_("created"), ordering="created_at")
    def created(self, export: ERPExport) -> SafeString | str:
        return short_time(export.created_at)

    @admin.display(description=_("order"))
    def order_number(self, export: ERPExport) -> str:
        return str(export.draft_order)

    @admin.display(description=_("ERP number"))
    def erp_number(self, export: ERPExport) -> str:
        return export.erp_order_id or ""

    @admin.display(description=_("problem"))
    def problem(self, export: ERPExport) -> str:
        if export.conflict_json:
            return gettext("contradicting answers")
        if export.is_overdue:
            return gettext("the ERP's answer is overdue")
        return Truncator(fault_text(export.error_json or {})).chars(MAX_PROBLEM)

    @admin.action(description=BulkAction.RETRY.label, permissions=["push"])
    def retry(self, request: HttpRequest, exports: QuerySet[ERPExport]) -> HttpResponse | None:
        return start_run(request, BulkAction.RETRY, exports.values_list("draft_order_id", flat=True))
