"""The audit log, to read: for an org's admins and integrators."""

from django.contrib import admin

from orderflow.audit.models import AuditLog
from orderflow.tenancy.admin import OrgScopedAdmin
from orderflow.tenancy.roles import Capability


@admin.register(AuditLog)
class AuditLogAdmin(OrgScopedAdmin):
    view = Capability.AUDIT
    list_display = ["created_at", "action", "actor", "entity_type", "entity_id", "ip"]
    list_filter = ["action", "created_at"]
    list_select_related = ["actor", "org"]
    search_fields = ["entity_id", "actor__email", "request_id"]
    search_help_text = "Id of what was changed, the actor's e-mail, request id"
    date_hierarchy = "created_at"
    ordering = ["-created_at"]
    show_full_result_count = False
    fields = [
        "org", "created_at", "action", "actor", "entity_type", "entity_id", "before", "after", "ip",
        "user_agent", "request_id",
    ]  # fmt: skip
