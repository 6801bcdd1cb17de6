"""Exports with their timeline; to look at, and to record what the ERP answered by phone."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime, now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from erp_connectors.admin.by_hand import AcceptedForm, RefusedForm, answer_by_hand
from erp_connectors.admin.columns import OrgColumn
from erp_connectors.admin.filters import NeedsAttention, Overdue, Since
from erp_connectors.admin.linked_filters import Unsettled
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
from erp_connectors.admin.list_search import search_exports
from erp_connectors.admin.retrying import retry_all
from erp_connectors.archive import ArchiveAltered, ArchiveUnavailable
from erp_connectors.faults import CONNECTION_DISABLED
from erp_connectors.models import ERPExport, ERPExportEvent
from erp_connectors.services import overdue
from erp_connectors.services.publishing import bytes_of
from erp_connectors.states import ConnectionStatus, ExportStatus
from orderflow.generics import TabularInline
from orderflow.tenancy.admin import may
from orderflow.tenancy.roles import Capability


class EventInline(TabularInline):
    model = ERPExportEvent
    verbose_name_plural = "timeline"
    fields = readonly_fields = ("when", "stage", "attempt", "what", "detail")
    can_delete = False
    extra = max_num = 0

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True

    @admin.display(description="when")
    def when(self, event: ERPExportEvent) -> str:
        # Django shows minutes; what happens to an export happens in seconds.
        return f"{localtime(event.at):%Y-%m-%d %H:%M:%S}"


@admin.register(ERPExport)
class ERPExportAdmin(ListPage, OrgColumn):
    chips = (
        NEEDS_ATTENTION,
        OVERDUE,
        Chip(_("Waiting"), "status__exact", ExportStatus.PENDING),
        TODAY,
        LAST_DAYS,
        Chip(_("Failed, not settled"), "unsettled", "all"),
    )
    nothing_yet = _("No exports yet. Approve an order and push it; its export is listed here.")
    inlines = (EventInline,)
    actions = ("retry_exports",)
    # A phone shows the first columns only, and file names are long.
    list_display = ("order_number", "shown_status", "trouble", "erp_number", "created", "filename")
    sortable_by = ("created",)
    list_display_links = ("order_number", "filename")
    ordering = ("-created_at",)
    list_filter = (NeedsAttention, Overdue, Since, Unsettled, "status", "failed_as", "created_at")
    list_select_related = ("draft_order", "org")
    search_fields = (
        "filename",
        "draft_order__external_order_number",
        "erp_order_id",
        "draft_order__customer__name",
    )
    search_help_text = _("Order number, ERP number, customer's name or number, file name from its beginning")
    show_full_result_count = False
    fields = (
        "filename", "order", "status", "failed_as", "what_happened", "what_to_do", "conflict", "erp_number",
        "dropzone_path", "size", "sha256", "file", "attempts", "next_attempt_at", "requested_by", "connection",
        "created_at", "archived_at", "staged_at", "sent_at", "answer_due", "answered_at",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[ERPExport]:
        rows: QuerySet[ERPExport] = super().get_queryset(request).defer("payload")
        return rows

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        text = search_term.strip()
        return (search_exports(request, queryset, text) if text else queryset), False

    @admin.display(description=_("status"))
    def shown_status(self, export: ERPExport) -> SafeString:
        return badge(export.status, export.get_status_display())

    @admin.display(description=_("created"), ordering="created_at")
    def created(self, export: ERPExport) -> SafeString | str:
        return short_time(export.created_at)

    @admin.display(description=_("order"))
    def order_number(self, export: ERPExport) -> str:
        return str(export.draft_order)

    @admin.display(description="order")
    def order(self, export: ERPExport) -> SafeString:
        url = reverse("admin:orders_draftorder_change", args=[export.draft_order_id])
        return format_html('<a href="{}">{}</a>', url, export.draft_order)

    @admin.display(description=_("ERP number"))
    def erp_number(self, export: ERPExport) -> str:
        return export.erp_order_id or "-"

    @admin.display(description=_("trouble"))
    def trouble(self, export: ERPExport) -> str:
        if export.conflict_json:
            return gettext("contradicting answers")
        if export.is_overdue:
            return gettext("the ERP's answer is overdue")
        return str((export.error_json or {}).get("message", ""))[:80]

    def has_push_permission(self, request: HttpRequest) -> bool:
        return may(request, Capability.PUSH)

    @admin.action(description="Retry the push of the order", permissions=["push"])
    def retry_exports(self, request: HttpRequest, exports: QuerySet[ERPExport]) -> None:
        retry_all(request, set(exports.values_list("draft_order_id", flat=True)))

    @admin.display(description="what happened")
    def what_happened(self, export: ERPExport) -> str:
        error = _trouble(export)
        details = [error.get("code"), error.get("error_code"), error.get("message")]
        return " — ".join(str(detail) for detail in details if detail) or "-"

    @admin.display(description="what to do")
    def what_to_do(self, export: ERPExport) -> str:
        return str(_trouble(export).get("hint") or "-")

    @admin.display(description="contradicting answer")
    def conflict(self, export: ERPExport) -> str:
        conflict = export.conflict_json
        if not conflict:
            return "-"
        what = f"accepted as {conflict['erp_order_id']}" if conflict["erp_order_id"] else "refused"
        return f"{conflict['file']} says {what}. Ask the ERP team which answer is right."

    @admin.display(description="answer due")
    def answer_due(self, export: ERPExport) -> str:
        allowed = overdue.deadline(export.connection) if export.status == ExportStatus.SENT else None
        if allowed is None or export.sent_at is None:
            return "-"
        due = export.sent_at + allowed.after
        late = "overdue since" if due < now() else "by"
        return f"{late} {localtime(due):%Y-%m-%d %H:%M:%S} ({allowed})"

    @admin.display(description="file")
    def file(self, export: ERPExport) -> SafeString | str:
        if not export.sha256:
            return "not rendered yet"
        return format_html('<a href="{}">download</a>', reverse("admin:erp_export_payload", args=[export.pk]))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<uuid:pk>/payload/", view(self.download), name="erp_export_payload"),
            path("<uuid:pk>/mark-accepted/", view(self.mark_accepted), name="erp_export_mark_accepted"),
            path("<uuid:pk>/mark-refused/", view(self.mark_refused), name="erp_export_mark_refused"),
            *super().get_urls(),
        ]

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        export = context["original"]
        open_question = export.status != ExportStatus.ACKED or export.conflict_json is not None
        context["may_mark"] = open_question and self.has_push_permission(request)
        return super().render_change_form(request, context, *args, **kwargs)

    def mark_accepted(self, request: HttpRequest, pk: Any) -> HttpResponse:
        return self._by_hand(request, pk, AcceptedForm)

    def mark_refused(self, request: HttpRequest, pk: Any) -> HttpResponse:
        return self._by_hand(request, pk, RefusedForm)

    def _by_hand(self, request: HttpRequest, pk: Any, form_type: type[RefusedForm]) -> HttpResponse:
        export = get_object_or_404(self.get_queryset(request), pk=pk)
        context = self.admin_site.each_context(request)
        return answer_by_hand(request, export, form_type=form_type, context=context)

    def download(self, request: HttpRequest, pk: Any) -> HttpResponse:
        export = get_object_or_404(self.get_queryset(request).exclude(sha256=""), pk=pk)
        try:
            body = bytes_of(export)
        except (ArchiveUnavailable, ArchiveAltered) as error:
            return HttpResponse(
                f"The archived copy can't be read: {error}", status=502, content_type="text/plain"
            )
        disposition = f'attachment; filename="{export.filename}"'
        return HttpResponse(
            body, content_type="application/json", headers={"Content-Disposition": disposition}
        )


def _trouble(export: ERPExport) -> dict[str, Any]:
    """Its own, or what its connection is held for while it waits."""
    waits_on = export.connection if export.status == ExportStatus.PENDING else None
    if waits_on and waits_on.status == ConnectionStatus.DISABLED:
        return {"message": CONNECTION_DISABLED.meaning, "hint": CONNECTION_DISABLED.hint}
    if export.is_overdue:
        return {"message": overdue.MEANING, "hint": overdue.HINT}
    return export.error_json or (waits_on.circuit_reason if waits_on else None) or {}
