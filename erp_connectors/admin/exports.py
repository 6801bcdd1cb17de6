"""Exports, and one page for each: where it is, what happened, its papers, and what a person can do."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext_lazy

from erp_connectors.admin.acts import Acting, Button
from erp_connectors.admin.by_hand import AcceptedForm, RefusedForm, answer_by_hand
from erp_connectors.admin.columns import OrgColumn
from erp_connectors.admin.export_acts import EXPORT_ACTS
from erp_connectors.admin.filters import NeedsAttention, Overdue
from erp_connectors.admin.retrying import retry_all
from erp_connectors.archive import ArchiveAltered, ArchiveUnavailable
from erp_connectors.models import AckFile, ERPExport
from erp_connectors.services.papers import acks_of, payload_of
from erp_connectors.services.publishing import bytes_of
from erp_connectors.services.situation import situation_of_export
from erp_connectors.services.target import target_of
from erp_connectors.services.timeline import ack_files_of, exports_of, timeline
from erp_connectors.states import ExportStatus
from orderflow.tenancy.admin import may
from orderflow.tenancy.roles import Capability

BY_HAND = (
    ("mark-accepted", gettext_lazy("Mark as accepted"), "erp_export_mark_accepted"),
    ("mark-refused", gettext_lazy("Mark as refused"), "erp_export_mark_refused"),
)


@admin.register(ERPExport)
class ERPExportAdmin(Acting, OrgColumn):
    acts = EXPORT_ACTS
    change_form_template = "admin/erp_connectors/erpexport/change_form.html"
    actions = ("retry_exports",)
    # A phone shows the first columns only, and file names are long.
    list_display = ("order_number", "status", "trouble", "erp_number", "created_at", "filename")
    list_display_links = ("order_number", "filename")
    ordering = ("-created_at",)
    list_filter = (NeedsAttention, Overdue, "status", "failed_as", "created_at")
    list_select_related = ("draft_order", "org")
    search_fields = (
        "filename",
        "draft_order__external_order_number",
        "erp_order_id",
        "draft_order__customer__name",
    )
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[ERPExport]:
        rows: QuerySet[ERPExport] = super().get_queryset(request).defer("payload")
        return rows

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ()

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

    def has_push_permission(self, request: HttpRequest) -> bool:
        return may(request, Capability.PUSH)

    @admin.action(description="Retry the push of the order", permissions=["push"])
    def retry_exports(self, request: HttpRequest, exports: QuerySet[ERPExport]) -> None:
        retry_all(request, set(exports.values_list("draft_order_id", flat=True)))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<uuid:pk>/payload/", view(self.download), name="erp_export_payload"),
            path("<uuid:pk>/ack/<int:ack>/", view(self.download_ack), name="erp_export_ack"),
            path("<uuid:pk>/mark-accepted/", view(self.mark_accepted), name="erp_export_mark_accepted"),
            path("<uuid:pk>/mark-refused/", view(self.mark_refused), name="erp_export_mark_refused"),
            *super().get_urls(),
        ]

    def seen(self, row: ERPExport) -> str:
        return f"{super().seen(row)} {row.draft_order.updated_at.isoformat()}"

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        exports = exports_of(context["original"].draft_order)
        export = next(one for one in exports if one.pk == context["original"].pk)
        situation = situation_of_export(export, exports)
        context |= {
            "situation": situation,
            "timeline": timeline(export.draft_order, [export], one=True),
            "buttons": self.all_buttons(request, export, situation.action),
            "target": target_of(export.connection),
            "acks": acks_of(export),
            "payload": payload_of(export) if request.GET.get("show") == "file" and export.sha256 else None,
            "may_connect": may(request, Capability.CONNECT),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    def all_buttons(self, request: HttpRequest, export: ERPExport, primary: str) -> list[Button]:
        """The acts, and the answers by hand, which have forms of their own."""
        buttons = self.buttons(request, export, primary)
        open_question = export.status != ExportStatus.ACKED or export.conflict_json is not None
        if not (open_question and self.has_push_permission(request)):
            return buttons
        by_hand = [
            Button(label, reverse(f"admin:{name}", args=[export.pk]), primary=act == primary)
            for act, label, name in BY_HAND
        ]
        return [*buttons, *by_hand]

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
        return _file(body, export.filename, "application/json")

    def download_ack(self, request: HttpRequest, pk: Any, ack: int) -> HttpResponse:
        export = get_object_or_404(self.get_queryset(request), pk=pk)
        if ack not in {row.pk for row in ack_files_of([export])}:
            raise Http404
        row = AckFile.objects.get(pk=ack)
        return _file(bytes(row.body or b""), row.name, "application/octet-stream")


def _file(body: bytes, name: str, content_type: str) -> HttpResponse:
    disposition = content_disposition_header(True, name) or "attachment"
    return HttpResponse(body, content_type=content_type, headers={"Content-Disposition": disposition})
