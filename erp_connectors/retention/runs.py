"""Runs of retention: started once a day or by hand, worked on by one worker at a time, resumed if killed."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from erp_connectors import leases
from erp_connectors.archive import ArchiveUnavailable
from erp_connectors.leases import Lease, LeaseKind, LeasePurpose
from erp_connectors.retention.models import RetentionRun, RetentionShare
from erp_connectors.retention.periods import ContentKind, Periods, configured, periods
from erp_connectors.retention.removing import finish_removed, remove
from orderflow import clock
from orderflow.audit import services as audit
from orderflow.audit.models import Action
from orderflow.tenancy.models import Org
from orderflow.transitions import LostRace

SLICE_SECONDS = 60.0
# A batch takes no longer, even if the archive answers slowly.
PRUNING = LeaseKind(LeasePurpose.RETENTION, RetentionRun, "lease", lambda: timedelta(minutes=10))
ASKED_AGAIN_AFTER = timedelta(minutes=10)
KEPT = timedelta(days=90)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PruneResult:
    """``more``: its time ended before the work did. ``busy``: another worker has it, or it is finished."""

    removed: int = 0
    more: bool = False
    busy: bool = False
    error: str = ""


def due(now: datetime) -> list[UUID]:
    """Runs that a worker is to be asked to go on with; today's is made here, once, where anything is to be removed."""
    unfinished = RetentionRun.objects.filter(finished_at=None)
    if configured().days and not unfinished.filter(day__isnull=False).exists():
        RetentionRun.objects.get_or_create(day=now.date(), defaults={"began_at": now})
    not_asked = Q(asked_at=None) | Q(asked_at__lt=now - ASKED_AGAIN_AFTER)
    waiting = unfinished.filter(PRUNING.free(now), not_asked)
    found = [pk for pk in waiting.values_list("pk", flat=True) if waiting.filter(pk=pk).update(asked_at=now)]
    RetentionRun.objects.filter(finished_at__lt=now - KEPT).delete()
    return found


def begin(*, org: Org | None, older_than: int | None) -> RetentionRun:
    """Begin a run at a user's request; the next free worker works on it. Raises `TooShort`."""
    periods(older_than)
    now = clock.now()
    return RetentionRun.objects.create(org=org, older_than=older_than, began_at=now, asked_at=now)


def work(run_id: UUID, *, seconds: float | None = None) -> PruneResult:
    """Go on with a run; after ``seconds`` no further batch is begun. If the archive fails, the run stays unfinished."""
    lease = leases.take(run_id, PRUNING, only_if=Q(finished_at=None))
    if lease is None:
        return PruneResult(busy=True)
    run = RetentionRun.objects.select_related("org").get(pk=run_id)
    ends = None if seconds is None else time.monotonic() + seconds
    try:
        worked = _work(lease, run, ends)
        done = None if worked.more or worked.error else clock.now()
        if not worked.busy:
            leases.held(lease).update(error=worked.error, finished_at=done)
        return worked
    finally:
        leases.release(lease)


def _work(lease: Lease, run: RetentionRun, ends: float | None) -> PruneResult:
    removed, kept = 0, periods(run.older_than)
    try:
        for org in _orgs_left(run):
            share, _ = RetentionShare.objects.get_or_create(run=run, org=org)
            for how_many in _of_org(share, kept, run.began_at):
                removed += how_many
                leases.renew(lease)
                if _over(ends):
                    return PruneResult(removed, more=True)
            _finish(share)
            # Also where nothing went: thousands of orgs take their time.
            leases.renew(lease)
            if _over(ends):
                return PruneResult(removed, more=True)
    except ArchiveUnavailable as error:
        log.warning("retention.archive_unavailable", run_id=str(run.pk), error=str(error))
        return PruneResult(removed, error=f"The archive can't be used: {error}")
    except LostRace as lost:
        log.warning("retention.lease_lost", run_id=str(run.pk), reason=str(lost))
        return PruneResult(removed, busy=True)
    return PruneResult(removed)


def _orgs_left(run: RetentionRun) -> list[Org]:
    finished = RetentionShare.objects.filter(run=run, org=OuterRef("pk"), finished_at__isnull=False)
    orgs = Org.objects.filter(~Exists(finished)).order_by("pk")
    return list(orgs.filter(pk=run.org_id) if run.org_id else orgs)


def _of_org(share: RetentionShare, kept: Periods, began: datetime) -> Iterator[int]:
    yield from finish_removed(share.org_id)
    for kind in ContentKind:
        before = kept.before(kind, began)
        if before is not None:
            yield from remove(kind, share, before)


def _over(ends: float | None) -> bool:
    return ends is not None and time.monotonic() >= ends


@transaction.atomic
def _finish(share: RetentionShare) -> None:
    """Finish the run, with exactly one audit entry."""
    unfinished = RetentionShare.objects.filter(pk=share.pk, finished_at=None)
    if not unfinished.update(finished_at=clock.now()):
        return
    share.refresh_from_db()
    removed = {str(kind): getattr(share, kind) for kind in ContentKind}
    if not any(removed.values()):
        return
    audit.record(
        audit.Entry(
            action=Action.CONTENTS_REMOVED,
            org_id=share.org_id,
            entity_type="RetentionRun",
            entity_id=share.run_id,
            after=removed,
        )
    )
    log.info("retention.removed", org_id=str(share.org_id), run_id=str(share.run_id), **removed)
