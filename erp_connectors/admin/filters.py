"""Filters of lists that say in an operator's words what the rows' columns say in the program's."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from erp_connectors.states import AckFileStatus, ExportStatus


class NeedsAttention(admin.SimpleListFilter):
    title = "needs attention"
    parameter_name = "attention"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Yes")]

    def queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(self.wanted()) if self.value() else rows

    def wanted(self) -> Q:
        late = Q(status=ExportStatus.SENT, overdue_at__isnull=False)
        return Q(status=ExportStatus.FAILED) | Q(conflict_json__isnull=False) | late


class AckNeedsAttention(NeedsAttention):
    def wanted(self) -> Q:
        return Q(status__in=(AckFileStatus.CONFLICT, AckFileStatus.MALFORMED, AckFileStatus.UNMATCHED)) | Q(
            stays=True
        )


class Overdue(NeedsAttention):
    title = "overdue"
    parameter_name = "overdue"

    def wanted(self) -> Q:
        return Q(status=ExportStatus.SENT, overdue_at__isnull=False)
