"""Pages of one export: status and timeline, files, proof of delivery, and manual answers."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.formats import date_format
from django.utils.http import content_disposition_header
from django.utils.timezone import localtime, now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from erp_connectors.admin.common.row_actions import Button, RowActionPages
from erp_connectors.admin.exports.manual_answers import AcceptedForm, RefusedForm, manual_answer_page
from erp_connectors.admin.exports.row_actions import EXPORT_ACTIONS
from erp_connectors.archive import ArchiveAltered, ArchiveUnavailable, PayloadRemoved
from erp_connectors.models import AckFile, ERPExport
from erp_connectors.services.acks.content import body_of
from erp_connectors.services.acks.manual_answers import answerable
from erp_connectors.services.connections.endpoint import address_of
from erp_connectors.services.exports.payload_store import bytes_of
from erp_connectors.services.status.export_files import Payload, acks_of, content_type_of, payload_of
from erp_connectors.services.status.export_status import summarize_export
from erp_connectors.services.status.proof_of_delivery import proof_of
from erp_connectors.services.status.timeline import ack_files_of, exports_of, timeline
from orderflow.tenancy.admin import may
from orderflow.tenancy.permissions import signed_in
from orderflow.tenancy.roles import Capability

MANUAL_ANSWERS = (
    ("mark-accepted", gettext_lazy("Mark as accepted"), "erp_export_mark_accepted"),
    ("mark-refused", gettext_lazy("Mark as refused"), "erp_export_mark_refused"),
)


class ExportPages(RowActionPages):
    row_actions = EXPORT_ACTIONS
    change_form_template = "admin/erp_connectors/erpexport/change_form.html"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<uuid:pk>/payload/", view(self.download), name="erp_export_payload"),
            path("<uuid:pk>/ack/<int:ack>/", view(self.download_ack), name="erp_export_ack"),
            path("<uuid:pk>/proof/", view(self.proof), name="erp_export_proof"),
            path("<uuid:pk>/mark-accepted/", view(self.mark_accepted), name="erp_export_mark_accepted"),
            path("<uuid:pk>/mark-refused/", view(self.mark_refused), name="erp_export_mark_refused"),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ERPExport]:
        rows: QuerySet[ERPExport] = super().get_queryset(request).defer("payload")
        return rows

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ()

    def has_push_permission(self, request: HttpRequest) -> bool:
        return may(request, Capability.PUSH)

    def version(self, row: ERPExport) -> str:
        return f"{super().version(row)} {row.draft_order.updated_at.isoformat()}"

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        exports = exports_of(context["original"].draft_order)
        export = next(one for one in exports if one.pk == context["original"].pk)
        summary = summarize_export(export, exports)
        context |= {
            "summary": summary,
            "timeline": timeline(export.draft_order, [export], one=True),
            "buttons": self.all_buttons(request, export, summary.action),
            "target": address_of(export.connection),
            "acks": acks_of(export),
            "payload": _shown_payload(request, export),
            "may_connect": may(request, Capability.CONNECT),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    def all_buttons(self, request: HttpRequest, export: ERPExport, primary: str) -> list[Button]:
        """Return the row actions, and the manual answers, which have their own forms."""
        buttons = self.buttons(request, export, primary)
        if not (self.has_push_permission(request) and answerable(export)):
            return buttons
        manual_answers = [
            Button(label, reverse(f"admin:{name}", args=[export.pk]), primary=act == primary)
            for act, label, name in MANUAL_ANSWERS
        ]
        return [*buttons, *manual_answers]

    def mark_accepted(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        return self._manual_answer(request, pk, AcceptedForm)

    def mark_refused(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        return self._manual_answer(request, pk, RefusedForm)

    def _manual_answer(self, request: HttpRequest, pk: UUID, form_type: type[RefusedForm]) -> HttpResponse:
        context = self.admin_site.each_context(request)
        return manual_answer_page(request, self._wanted(request, pk), form_type=form_type, context=context)

    def proof(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """To be printed, on one page."""
        context = {
            "proof": proof_of(self._wanted(request, pk)),
            "made_at": now(),
            "made_by": signed_in(request),
        }
        return TemplateResponse(request, "admin/erp_connectors/erpexport/proof.html", context)

    def download(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        export = self._wanted(request, pk)
        if not export.sha256:
            raise Http404
        try:
            body = bytes_of(export)
        except PayloadRemoved as removed:
            return _gone(removed.at)
        except (ArchiveUnavailable, ArchiveAltered) as error:
            return HttpResponse(
                f"The archived copy can't be read: {error}", status=502, content_type="text/plain"
            )
        return _file(body, export.filename, content_type_of(export))

    def download_ack(self, request: HttpRequest, pk: UUID, ack: int) -> HttpResponse:
        if ack not in {row.pk for row in ack_files_of([self._wanted(request, pk)])}:
            raise Http404
        row = AckFile.objects.get(pk=ack)
        if row.body_removed_at:
            return _gone(row.body_removed_at)
        return _file(body_of(row), row.name, "application/octet-stream")

    def _wanted(self, request: HttpRequest, pk: UUID) -> ERPExport:
        """Raises `Http404`, also for another org's."""
        rows = self.get_queryset(request).select_related(
            "org", "connection", "requested_by", "draft_order__customer", "draft_order__approved_by"
        )
        return get_object_or_404(rows, pk=pk)


def _shown_payload(request: HttpRequest, export: ERPExport) -> Payload | None:
    wanted = request.GET.get("show") == "file" and export.sha256 and not export.payload_removed_at
    return payload_of(export) if wanted else None


def _gone(at: datetime) -> HttpResponse:
    """Return 410, also for an old link to a file."""
    return HttpResponse(
        _("Its content was removed by retention on %(when)s.")
        % {"when": date_format(localtime(at), "SHORT_DATETIME_FORMAT")},
        status=410,
        content_type="text/plain; charset=utf-8",
    )


def _file(body: bytes, name: str, content_type: str) -> HttpResponse:
    disposition = content_disposition_header(True, name) or "attachment"
    return HttpResponse(body, content_type=content_type, headers={"Content-Disposition": disposition})
