"""Ack files as they were found, and what became of each."""

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString

from erp_connectors.admin.columns import OrgColumn
from erp_connectors.admin.filters import AckNeedsAttention
from erp_connectors.admin.linked_filters import StrayFiles
from erp_connectors.models import AckFile

SHOWN_ACK_BYTES = 4000


@admin.register(AckFile)
class AckFileAdmin(OrgColumn):
    list_display = ("name", "status", "reason", "export", "first_seen_at", "decided_at")
    list_filter = (AckNeedsAttention, StrayFiles, "status", "first_seen_at")
    list_select_related = ("export", "org")
    search_fields = ("name", "export__filename", "export__draft_order__external_order_number")
    show_full_result_count = False
    fields = readonly_fields = (
        "name", "status", "reason", "export", "content", "size", "first_seen_at", "decided_at", "moved_at", "moved_to",
        "stays", "connection",
    )  # fmt: skip

    @admin.display(description="content")
    def content(self, ack: AckFile) -> SafeString:
        text = bytes(ack.body or b"")[:SHOWN_ACK_BYTES].decode("utf-8", "replace")
        return format_html("<pre>{}</pre>", text)
