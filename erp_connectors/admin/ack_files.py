"""Ack files as they were found, and what became of each."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from erp_connectors.admin.acts import Acting
from erp_connectors.admin.columns import OrgColumn
from erp_connectors.admin.export_acts import ACK_ACTS
from erp_connectors.admin.filters import AckNeedsAttention
from erp_connectors.admin.linked_filters import StrayFiles
from erp_connectors.models import AckFile
from erp_connectors.services.ack_situation import situation_of_ack
from erp_connectors.services.papers import SHOWN_ACK_SIGNS, readable


@admin.register(AckFile)
class AckFileAdmin(Acting, OrgColumn):
    acts = ACK_ACTS
    key = "int"
    change_form_template = "admin/erp_connectors/ackfile/change_form.html"
    list_display = ("name", "status", "reason", "export", "first_seen_at", "decided_at")
    list_filter = (AckNeedsAttention, StrayFiles, "status", "first_seen_at")
    list_select_related = ("export", "org")
    search_fields = ("name", "export__filename", "export__draft_order__external_order_number")
    show_full_result_count = False
    fields = readonly_fields = (
        "name", "status", "reason", "export", "content", "size", "first_seen_at", "decided_at", "moved_at", "moved_to",
        "stays", "connection",
    )  # fmt: skip

    def seen(self, row: AckFile) -> str:
        return f"{row.status} {row.handled_at}"

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        ack = context["original"]
        context |= {"situation": situation_of_ack(ack), "buttons": self.buttons(request, ack, "handled")}
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.display(description="content")
    def content(self, ack: AckFile) -> SafeString:
        return format_html("<pre>{}</pre>", readable(bytes(ack.body or b""))[:SHOWN_ACK_SIGNS])
