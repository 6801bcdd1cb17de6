"""Querysets of rows that need attention: the overview counts them, the lists show them."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from erp_connectors.models import AckFile, ERPExport
from erp_connectors.outbox.models import Subscription
from erp_connectors.states import UNRESOLVED_ACKS, AckFileStatus, ConnectionStatus, ExportStatus, FailedAs
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus

# Until a user dismisses it, and no longer than a question about it is likely.
STRAY_FOR = timedelta(days=14)
FAILURES_THAT_LAST = 3
DELAYED_AFTER = timedelta(minutes=30)
# Each has an index of its own, which an OR of them would not use in a long list.
ACKS_THAT_NEED_ATTENTION = (
    Q(dismissed_at=None, status__in=UNRESOLVED_ACKS),
    Q(dismissed_at=None, move_retry_at__isnull=False, moved_at=None),
)
STRAY = (AckFileStatus.MALFORMED, AckFileStatus.UNMATCHED)


def unresolved(exports: QuerySet[Any]) -> QuerySet[Any]:
    """Match failed exports that are the newest of an order that is still in ERROR."""
    newer = ERPExport.objects.filter(
        draft_order=OuterRef("draft_order"), created_at__gt=OuterRef("created_at")
    )
    failed = exports.filter(status=ExportStatus.FAILED, draft_order__status=DraftStatus.ERROR)
    return failed.filter(~Exists(newer))


def delayed(exports: QuerySet[Any], *, now: datetime) -> QuerySet[Any]:
    """Exports that meet the same fault at each attempt while their connection works: others pass them.

    A fault of the connection never ends an export (SPEC 5), so nothing else would name one that alone meets it.
    """
    return exports.filter(
        status=ExportStatus.PENDING,
        error_json__isnull=False,
        created_at__lt=now - DELAYED_AFTER,
        connection__status=ConnectionStatus.ACTIVE,
        connection__circuit_opened_at=None,
    )


def contradicted(exports: QuerySet[ERPExport]) -> QuerySet[ERPExport]:
    return exports.filter(conflict_json__isnull=False)


def stray(files: QuerySet[AckFile], *, now: datetime) -> QuerySet[AckFile]:
    """Match ack files that changed nothing and whose export still has no answer."""
    open_ = Q(export__status__in=(ExportStatus.PENDING, ExportStatus.SENT))
    unanswered = Q(export=None) | open_ | Q(export__failed_as__in=(FailedAs.NOT_SENT, FailedAs.UNKNOWN))
    return files.filter(unanswered, status__in=STRAY, dismissed_at=None, first_seen_at__gte=now - STRAY_FOR)


def doubtful(orders: QuerySet[DraftOrder], *, now: datetime) -> QuerySet[DraftOrder]:
    """Match orders whose ERP number was found lately to be a duplicate or a placeholder."""
    return orders.filter(erp_number_doubtful_at__gte=now - STRAY_FOR)


def undelivered_notifications(subscriptions: QuerySet[Subscription]) -> QuerySet[Subscription]:
    """Match subscriptions that were given up or keep failing, also if only one of several addresses is refused."""
    lasting = Q(failures_in_row__gte=FAILURES_THAT_LAST) | Q(failures_in_row=0)
    failing = Q(failing_since__isnull=False) & lasting
    return subscriptions.filter(failing | Q(given_up_at__isnull=False), active=True).order_by("failing_since")
