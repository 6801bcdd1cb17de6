"""Filters of lists that say in an operator's words what the rows' columns say in the program's."""

from datetime import timedelta
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from erp_connectors.models import ERPExport
from erp_connectors.services.status import attention_queries
from erp_connectors.states import ExportStatus
from orderflow.orders.states import DraftStatus


class NeedsAttention(admin.SimpleListFilter):
    template = "admin/erp_connectors/in_chips.html"
    title = _("needs attention")
    parameter_name = "attention"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Yes"))]

    def queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return rows
        # Each kind has an index of its own, which an OR of them would not use.
        first, *others = (rows.order_by().filter(kind).values("pk") for kind in self.wanted())
        return rows.filter(pk__in=first.union(*others, all=True) if others else first)

    def wanted(self) -> tuple[Q, ...]:
        late = Q(status=ExportStatus.SENT, overdue_at__isnull=False)
        # An export that was retried, or whose order is in review or rejected, needs no attention.
        delayed = Q(
            pk__in=attention_queries.delayed(ERPExport.objects.all(), now=timezone.now()).values("pk")
        )
        failed = Q(status=ExportStatus.FAILED, draft_order__status=DraftStatus.ERROR)
        return failed, Q(conflict_json__isnull=False), late, delayed


class AckNeedsAttention(NeedsAttention):
    def wanted(self) -> tuple[Q, ...]:
        return attention_queries.ACKS_THAT_NEED_ATTENTION


class Overdue(NeedsAttention):
    title = _("overdue")
    parameter_name = "overdue"

    def wanted(self) -> tuple[Q, ...]:
        return (Q(status=ExportStatus.SENT, overdue_at__isnull=False),)


class OrderOverdue(Overdue):
    def wanted(self) -> tuple[Q, ...]:
        return (Q(pk__in=ERPExport.objects.overdue().values("draft_order")),)


class Since(admin.SimpleListFilter):
    """Filter by days in the viewer's time zone."""

    template = "admin/erp_connectors/in_chips.html"
    title = _("time")
    parameter_name = "since"
    field: ClassVar[str] = "created_at"
    DAYS_BACK: ClassVar[dict[str, int]] = {"today": 0, "week": 6}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("today", _("Today")), ("week", _("Last 7 days"))]

    def queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        back = self.DAYS_BACK.get(self.value() or "")
        if back is None:
            return rows
        midnight = localtime().replace(hour=0, minute=0, second=0, microsecond=0)
        return rows.filter(**{f"{self.field}__gte": midnight - timedelta(days=back)})


class SeenSince(Since):
    field = "first_seen_at"
