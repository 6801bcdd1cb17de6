"""Filters of lists that say in an operator's words what the rows' columns say in the program's."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from erp_connectors.states import AckFileStatus, ExportStatus
from orderflow.orders.states import DraftStatus

UNSETTLED = (AckFileStatus.CONFLICT, AckFileStatus.MALFORMED, AckFileStatus.UNMATCHED)


class NeedsAttention(admin.SimpleListFilter):
    title = "needs attention"
    parameter_name = "attention"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Yes")]

    def queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(self.wanted()) if self.value() else rows

    def wanted(self) -> Q:
        late = Q(status=ExportStatus.SENT, overdue_at__isnull=False)
        # One that was retried, or whose order is in review or rejected, needs nobody any more.
        failed = Q(status=ExportStatus.FAILED, draft_order__status=DraftStatus.ERROR)
        return failed | Q(conflict_json__isnull=False) | late


class AckNeedsAttention(NeedsAttention):
    def wanted(self) -> Q:
        return Q(handled_at=None) & (Q(status__in=UNSETTLED) | Q(stays=True))


class Overdue(NeedsAttention):
    title = "overdue"
    parameter_name = "overdue"

    def wanted(self) -> Q:
        return Q(status=ExportStatus.SENT, overdue_at__isnull=False)
