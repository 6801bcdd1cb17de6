"""Filters of the audit log."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from orderflow.audit.models import AuditLog
from orderflow.tenancy.models import User
from orderflow.tenancy.permissions import signed_in

SYSTEM = "system"
MAX_PEOPLE = 100
KINDS = {
    "DraftOrder": _("Order"),
    "ERPExport": _("Export"),
    "AckFile": _("Ack file"),
    "ERPConnection": _("Connection"),
    "Subscription": _("Notification"),
    "User": _("User"),
    "RetentionRun": _("Retention"),
}


class ActorFilter(admin.SimpleListFilter):
    title = _("who")
    parameter_name = "actor"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        # Of all orgs together there are too many to choose from: those are searched for.
        org = signed_in(request).org
        people = User.objects.for_org(org).order_by("email")[:MAX_PEOPLE] if org else ()
        return [(SYSTEM, _("The system")), *((str(person.pk), str(person)) for person in people)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditLog]) -> QuerySet[AuditLog]:
        value = self.value()
        if not value:
            return queryset
        if value == SYSTEM:
            return queryset.filter(actor=None)
        try:
            return queryset.filter(actor_id=UUID(value))
        except ValueError:
            return queryset.none()


class KindFilter(admin.SimpleListFilter):
    title = _("object")
    parameter_name = "about"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(KINDS.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditLog]) -> QuerySet[AuditLog]:
        return queryset.filter(entity_type=self.value()) if self.value() else queryset
