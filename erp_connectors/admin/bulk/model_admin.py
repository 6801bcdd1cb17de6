"""Bulk runs in the admin: what would happen, the yes, the progress, and what became of each row."""

from collections.abc import Iterable
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from erp_connectors.admin.common.columns import OrgColumn
from erp_connectors.bulk import preview, runs
from erp_connectors.bulk.models import BulkAction, BulkRow, BulkRun, Outcome
from erp_connectors.bulk.progress import progress_of
from orderflow.messages import text
from orderflow.tenancy.admin import may
from orderflow.tenancy.permissions import signed_in
from orderflow.tenancy.roles import Capability

ROWS_A_PAGE = 100
NEEDS = {
    BulkAction.READY: Capability.APPROVE,
    BulkAction.APPROVE: Capability.APPROVE,
    BulkAction.REJECT: Capability.APPROVE,
    BulkAction.PUSH: Capability.PUSH,
    BulkAction.RETRY: Capability.PUSH,
}


def start_run(request: HttpRequest, action: BulkAction, draft_ids: Iterable[UUID]) -> HttpResponse | None:
    """From a list's action to the page that asks; None, with a message, where that can't be."""
    try:
        run = runs.make(action, draft_ids, actor=signed_in(request))
    except runs.TooMany as refusal:
        messages.error(request, text(refusal.message))
        return None
    return redirect("admin:bulk_run", run.pk)


@admin.register(BulkRun)
class BulkRunAdmin(OrgColumn):
    list_display = ("what", "created_at", "made_by", "state")
    list_display_links = ("what",)
    ordering = ("-created_at",)
    list_select_related = ("made_by", "org")
    show_full_result_count = False
    templates: ClassVar[str] = "admin/bulk/bulkrun"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<uuid:pk>/", view(self.run_page), name="bulk_run"),
            path("<uuid:pk>/confirm/", view(self.confirm), name="bulk_run_confirm"),
            *super().get_urls(),
        ]

    @admin.display(description=gettext_lazy("action"))
    def what(self, run: BulkRun) -> str:
        return str(run)

    @admin.display(description=gettext_lazy("state"))
    def state(self, run: BulkRun) -> str:
        if run.finished_at:
            return _("Finished")
        return _("In progress") if run.confirmed_at else _("Not confirmed, nothing was changed")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        run = self.get_object(request, object_id)
        if run is None:
            raise Http404
        return redirect("admin:bulk_run", run.pk)

    def run_page(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Show the preview until the run is confirmed, then the results so far."""
        run = self._run(request, pk)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "run": run,
            "title": str(run),
            "may_confirm": _may_confirm(request, run),
        }
        if run.confirmed_at is None:
            return TemplateResponse(request, f"{self.templates}/preview.html", {**context, **_preview(run)})
        context |= {"progress": progress_of(run), "page": _rows(request, run), "chosen": _chosen(request)}
        part = request.headers.get("X-Requested-Part") == "run"
        return TemplateResponse(request, f"{self.templates}/{'_run' if part else 'run'}.html", context)

    def confirm(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        run = self._run(request, pk)
        if request.method == "POST":
            if not _may_confirm(request, run):
                raise PermissionDenied
            if not runs.confirm(run):
                messages.info(request, _("It was already confirmed. Nothing is done twice."))
        return redirect("admin:bulk_run", pk)

    def _run(self, request: HttpRequest, pk: UUID) -> BulkRun:
        if not self.has_view_permission(request):
            raise PermissionDenied
        run: BulkRun = get_object_or_404(self.get_queryset(request).select_related("made_by__org"), pk=pk)
        return run


def _may_confirm(request: HttpRequest, run: BulkRun) -> bool:
    """Return True for the user who chose the orders: the run acts in that user's name."""
    return run.made_by_id == signed_in(request).pk and may(request, NEEDS[BulkAction(run.action)])


def _preview(run: BulkRun) -> dict[str, Any]:
    ids = list(run.rows.values_list("draft_order_id", flat=True))
    groups = preview.preview(BulkAction(run.action), ids, actor=run.made_by)
    counts = preview.counts(groups)
    return {
        "groups": groups,
        "total": len(ids),
        "to_do": counts[Outcome.DONE],
        "same": counts[Outcome.SAME],
        "refused": counts[Outcome.REFUSED],
    }


def _chosen(request: HttpRequest) -> str:
    asked = request.GET.get("outcome", "")
    return asked if asked in Outcome.values else ""


def _rows(request: HttpRequest, run: BulkRun) -> Page[BulkRow]:
    rows = run.rows.exclude(outcome=Outcome.OPEN).select_related("draft_order__customer").order_by("position")
    if chosen := _chosen(request):
        rows = rows.filter(outcome=chosen)
    page: Page[BulkRow] = Paginator(rows, ROWS_A_PAGE).get_page(request.GET.get("page"))
    return page
