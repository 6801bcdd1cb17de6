"""Bulk runs: created from a selection, confirmed once, carried out in chunks by any worker."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from erp_connectors.bulk.execute import execute_chunk
from erp_connectors.bulk.models import BulkAction, BulkRow, BulkRun, Outcome
from orderflow import clock, jobs
from orderflow.audit.context import RequestContext, current
from orderflow.messages import Message, Refusal
from orderflow.orders.models import DraftOrder
from orderflow.row_updates import update_rows
from orderflow.tenancy.models import User

MAX_ROWS = 10_000
CHUNK = 100
# Number of rows that the confirming request executes itself, while the user waits for the next page.
AT_ONCE = 20
KEPT = timedelta(days=30)
STUCK_AFTER = timedelta(seconds=60)


class TooMany(Refusal):
    """More orders were chosen than one run takes."""


@transaction.atomic
def make(action: BulkAction, draft_ids: Iterable[UUID], *, actor: User) -> BulkRun:
    """Nothing is done yet. Raises `TooMany`."""
    ids = list(dict.fromkeys(draft_ids))
    if len(ids) > MAX_ROWS:
        raise TooMany(Message("bulk.too_many_orders", number=len(ids), most=MAX_ROWS))
    mine = set(DraftOrder.objects.visible_to(actor).filter(pk__in=ids).values_list("pk", flat=True))
    run = BulkRun.objects.create(action=action, org=actor.org, made_by=actor)
    BulkRow.objects.bulk_create(
        [
            BulkRow(run=run, position=n, draft_order_id=pk)
            for n, pk in enumerate(pk for pk in ids if pk in mine)
        ],
        batch_size=1000,
    )
    return run


def confirm(run: BulkRun) -> bool:
    """Have it carried out; False where it was confirmed before, which changes nothing."""
    origin, now = current.get(), clock.now()
    asked_from = {"request_id": origin.request_id, "ip": origin.ip, "user_agent": origin.user_agent}
    with transaction.atomic():
        unconfirmed = BulkRun.objects.filter(pk=run.pk, confirmed_at=None)
        if not unconfirmed.update(confirmed_at=now, worked_at=now, asked_from=asked_from):
            return False
        if run.rows.count() > AT_ONCE:
            jobs.wake(jobs.Task.EXECUTE_RUN, str(run.pk))
            return True
    execute(run.pk)
    return True


def execute(run_id: UUID) -> int:
    """Execute chunk after chunk. Return how many rows this call has handled.

    Each chunk and its outcomes are one transaction, so no order is handled twice by several workers, or by one
    that resumes after a kill.
    """
    handled = 0
    while done := _next_chunk(run_id):
        handled += done
    return handled


def due(now: datetime) -> list[UUID]:
    """Return confirmed runs that no worker has: a wake-up was lost, or a worker died."""
    unfinished = BulkRun.objects.filter(confirmed_at__isnull=False, finished_at=None)
    return list(unfinished.filter(worked_at__lt=now - STUCK_AFTER).values_list("pk", flat=True))


def forget_old(now: datetime) -> int:
    """The results of long ago; returns how many runs went."""
    old = BulkRun.objects.filter(created_at__lt=now - KEPT)
    count = old.count()
    old.delete()
    return count


@transaction.atomic
def _next_chunk(run_id: UUID) -> int:
    """The run's lock keeps other workers out for a chunk; 0 where nothing is left, which finishes the run."""
    unfinished = BulkRun.objects.filter(confirmed_at__isnull=False, finished_at=None)
    run = unfinished.select_for_update(of=("self",)).select_related("made_by__org").filter(pk=run_id).first()
    if run is None:
        return 0
    rows = list(run.rows.filter(outcome=Outcome.OPEN).order_by("position")[:CHUNK])
    run.worked_at = clock.now()
    if rows:
        _record(run, rows)
    else:
        run.finished_at = run.worked_at
    run.save(update_fields=["worked_at", "finished_at"])
    return len(rows)


def _record(run: BulkRun, rows: Sequence[BulkRow]) -> None:
    ids = [row.draft_order_id for row in rows]
    token = current.set(RequestContext(**run.asked_from))
    try:
        results = execute_chunk(BulkAction(run.action), ids, actor=run.made_by)
    finally:
        current.reset(token)
    for row in rows:
        row.outcome, row.why = results[row.draft_order_id]
    update_rows(rows, "outcome", "why")
