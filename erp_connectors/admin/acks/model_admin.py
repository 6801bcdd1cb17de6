"""Ack files as they were found, and what became of each."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from erp_connectors.admin.common.columns import OrgColumn
from erp_connectors.admin.common.filters import AckNeedsAttention, SeenSince
from erp_connectors.admin.common.linked_filters import StrayFiles
from erp_connectors.admin.common.list_pages import (
    LAST_DAYS,
    NEEDS_ATTENTION,
    TODAY,
    ListPage,
    badge,
    short_time,
)
from erp_connectors.admin.common.row_actions import RowActionPages
from erp_connectors.admin.exports.row_actions import ACK_ACTIONS
from erp_connectors.models import AckFile
from erp_connectors.services.acks.content import body_of
from erp_connectors.services.status.ack_status import summarize_ack
from erp_connectors.services.status.export_files import SHOWN_ACK_SIGNS, readable
from erp_connectors.services.status.search import search_acks
from orderflow.messages import text
from orderflow.tenancy.admin import without_link, yes_or_no
from orderflow.tenancy.permissions import signed_in


@admin.register(AckFile)
class AckFileAdmin(ListPage, RowActionPages, OrgColumn):
    row_actions = ACK_ACTIONS
    key = "int"
    change_form_template = "admin/erp_connectors/ackfile/change_form.html"
    chips = (NEEDS_ATTENTION, TODAY, LAST_DAYS)
    linked = (*OrgColumn.linked, "connection__id__exact")
    nothing_yet = _("No ack files yet. They are listed here once the ERP answers an export.")
    list_display = ("name", "shown_status", "why", "export_page", "seen_at")
    sortable_by = ()
    list_filter = (AckNeedsAttention, SeenSince, StrayFiles, "status", "first_seen_at")
    list_select_related = ("export", "org")
    search_fields = ("name", "export__filename", "export__draft_order__external_order_number")
    search_help_text = _("Name of the ack file, order number, ERP number, customer's name or number")
    show_full_result_count = False
    fields = readonly_fields = (
        "name", "status", "why", "export_page", "content", "size", "first_seen_at", "decided_at", "moved_at",
        "moved_to", "left_there", "connection_name",
    )  # fmt: skip

    connection_name = staticmethod(without_link("connection", _("connection")))

    def version(self, row: AckFile) -> str:
        return f"{row.status} {row.dismissed_at}"

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        ack = context["original"]
        context |= {"summary": summarize_ack(ack), "buttons": self.buttons(request, ack, "dismiss")}
        return super().render_change_form(request, context, *args, **kwargs)

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        text = search_term.strip()
        return (search_acks(signed_in(request), queryset, text) if text else queryset), False

    @admin.display(description=_("status"))
    def shown_status(self, ack: AckFile) -> SafeString:
        return badge(ack.status, ack.get_status_display())

    @admin.display(description=_("reason"))
    def why(self, ack: AckFile) -> str:
        return text(ack.reason)

    @admin.display(description=_("export"))
    def export_page(self, ack: AckFile) -> SafeString | str:
        if ack.export is None:
            return ""
        page = reverse("admin:erp_connectors_erpexport_change", args=[ack.export_id])
        return format_html('<a href="{}">{}</a>', page, ack.export)

    @admin.display(description=_("first seen"))
    def seen_at(self, ack: AckFile) -> SafeString | str:
        return short_time(ack.first_seen_at)

    @admin.display(description=_("stays in its folder"))
    def left_there(self, ack: AckFile) -> str:
        return yes_or_no(ack.stays)

    @admin.display(description=_("content"))
    def content(self, ack: AckFile) -> SafeString:
        if ack.body_removed_at:
            return format_html(
                "{} {}<br>SHA-256 <code>{}</code>",
                _("Removed by retention:"),
                short_time(ack.body_removed_at),
                ack.body_sha256,
            )
        return format_html(
            '<pre tabindex="0" role="region" aria-label="{}">{}</pre>',
            _("Content of the ack file"),
            readable(body_of(ack))[:SHOWN_ACK_SIGNS],
        )
