"""Remove contents in batches of bounded size.

Each batch is one transaction: it locks all exports of its orders as a poll does, leaves out orders that are locked by
others, and applies the rules again. Only then it removes and counts.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from erp_connectors import archive, counters
from erp_connectors.archive_watermark import advance_watermark
from erp_connectors.crashpoints import crashpoint
from erp_connectors.models import AckFile, ERPExport, ERPExportEvent
from erp_connectors.retention.models import RetentionShare
from erp_connectors.retention.periods import ContentKind
from erp_connectors.retention.rules import BORN, PROVING, born_before, going
from erp_connectors.services.acks.content import digest
from orderflow.row_updates import update_rows

BATCH = 200


def remove(kind: ContentKind, share: RetentionShare, before: datetime) -> Iterator[int]:
    """Yield how many contents each batch removed. Raises `ArchiveUnavailable`; the next run removes the rest."""
    return _REMOVALS[kind](share, before)


def _files(share: RetentionShare, before: datetime) -> Iterator[int]:
    wanted, advanced = going(ContentKind.FILES, share.org_id, before), False
    for page in _pages(ContentKind.FILES, share.org_id, before):
        if not advanced:
            advance_watermark(share.org_id, before)
            advanced = True
        with transaction.atomic():
            marked = _held_exports(wanted, page)
            rows = ERPExport.objects.filter(pk__in=marked, payload_removed_at=None)
            _count(share, ContentKind.FILES, rows.update(payload_removed_at=timezone.now()))
        crashpoint("prune-marked")
        _delete(marked)
        yield len(marked)


def finish_removed(org_id: UUID) -> Iterator[int]:
    """Delete the copies that an interrupted run has only marked. Raises as `remove` does."""
    half = ERPExport.objects.for_org(org_id).filter(payload_removed_at__isnull=False, copy_gone_at=None)
    while page := list(half.values_list("pk", flat=True)[:BATCH]):
        _delete(page)
        yield 0


def _delete(exports: Sequence[UUID]) -> None:
    keys = dict(ERPExport.objects.filter(pk__in=exports).values_list("pk", "export_storage_key"))
    outcomes = archive.remove_all(list(keys.values()))
    crashpoint("prune-deleted")
    gone = [pk for pk, error in zip(keys, outcomes, strict=True) if error is None]
    ERPExport.objects.filter(pk__in=gone).update(copy_gone_at=timezone.now())
    crashpoint("prune-noted")
    for error in filter(None, outcomes):
        raise error


def _events(share: RetentionShare, before: datetime) -> Iterator[int]:
    wanted = going(ContentKind.EVENTS, share.org_id, before)
    for page in _pages(ContentKind.EVENTS, share.org_id, before):
        with transaction.atomic():
            thinned = _held_exports(wanted, page)
            ERPExportEvent.objects.filter(export__in=thinned).exclude(what__in=PROVING).delete()
            rows = ERPExport.objects.filter(pk__in=thinned)
            _count(share, ContentKind.EVENTS, rows.update(events_removed_at=timezone.now()))
        crashpoint("prune-events-removed")
        yield len(thinned)


def _answers(share: RetentionShare, before: datetime) -> Iterator[int]:
    wanted = going(ContentKind.ANSWERS, share.org_id, before)
    for page in _pages(ContentKind.ANSWERS, share.org_id, before):
        with transaction.atomic():
            removed = _held_answers(wanted, page)
            for row in removed:
                row.body_sha256, row.body, row.body_removed_at = digest(row), None, timezone.now()
            update_rows(removed, "body", "body_sha256", "body_removed_at")
            _mark_other_answers(removed)
            _count(share, ContentKind.ANSWERS, len(removed))
        crashpoint("prune-answers-removed")
        yield len(removed)


def _mark_other_answers(removed: Sequence[AckFile]) -> None:
    """Mark the other answers of these files, too: the body was in the row of the first one."""
    files = {(row.connection_id, row.name, row.moved_at): row for row in removed}
    others = AckFile.objects.filter(part__gt=0, name__in={row.name for row in removed}).defer("body")
    marked = [row for row in others if (row.connection_id, row.name, row.moved_at) in files]
    for row in marked:
        row.body_removed_at = files[row.connection_id, row.name, row.moved_at].body_removed_at
    update_rows(marked, "body_removed_at")


def _held_exports(wanted: QuerySet[ERPExport], page: Sequence[UUID]) -> list[UUID]:
    mine = ERPExport.objects.filter(pk__in=page)
    orders = _held_orders(list(mine.values_list("draft_order", flat=True)))
    return list(wanted.filter(pk__in=page, draft_order__in=orders).values_list("pk", flat=True))


def _held_answers(wanted: QuerySet[AckFile], page: Sequence[int]) -> list[AckFile]:
    mine = AckFile.objects.filter(pk__in=page)
    orders = _held_orders(
        list(mine.filter(export__isnull=False).values_list("export__draft_order", flat=True))
    )
    held = set(mine.order_by("pk").select_for_update(skip_locked=True).values_list("pk", flat=True))
    rows = wanted.filter(pk__in=held).select_related("export")
    return [row for row in rows if row.export is None or row.export.draft_order_id in orders]


def _held_orders(orders: Sequence[UUID]) -> set[UUID]:
    """Lock the exports as a poll does. Return the orders of which no other transaction has locked an export."""
    exports = ERPExport.objects.filter(draft_order__in=orders)
    held = set(exports.order_by("pk").select_for_update(skip_locked=True).values_list("pk", flat=True))
    busy = set(exports.exclude(pk__in=held).values_list("draft_order", flat=True))
    return set(orders) - busy


def _count(share: RetentionShare, kind: ContentKind, how_many: int) -> None:
    """Count removed contents, in the transaction that removes them."""
    if how_many:
        RetentionShare.objects.filter(pk=share.pk).update(**{kind: F(kind) + how_many})
        counters.count(counters.Name.REMOVED, kind, how_many)


def _pages(kind: ContentKind, org_id: UUID, before: datetime) -> Iterator[list[Any]]:
    """Yield pages of keys of removable contents, oldest first. Each row is looked at once."""
    born, after = BORN[kind], Q()
    rows, wanted = born_before(kind, org_id, before), going(kind, org_id, before)
    while page := list(rows.filter(after).order_by(born, "pk").values_list(born, "pk")[:BATCH]):
        # Apply the rules to this page only: on the whole table, each page would check all of it again.
        if chosen := list(wanted.filter(pk__in=[pk for _, pk in page]).values_list("pk", flat=True)):
            crashpoint("prune-chosen")
            yield chosen
        at, last = page[-1]
        after = Q(**{f"{born}__gte": at}) & (Q(**{f"{born}__gt": at}) | Q(pk__gt=last))


_REMOVALS: dict[ContentKind, Callable[[RetentionShare, datetime], Iterator[int]]] = {
    ContentKind.FILES: _files,
    ContentKind.ANSWERS: _answers,
    ContentKind.EVENTS: _events,
}
