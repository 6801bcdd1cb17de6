"""The life of a run: begun once a day or by hand, worked on in slices by one at a time, resumed where it was killed."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from erp_connectors.archive import ArchiveUnavailable
from erp_connectors.retention.models import RetentionRun, RetentionShare
from erp_connectors.retention.periods import Kind, Periods, configured, periods
from erp_connectors.retention.removing import finish_removed, remove
from orderflow import clock
from orderflow.audit import services as audit
from orderflow.audit.models import Action
from orderflow.tenancy.models import Org

TASK = "erp_connectors.tasks.prune"
SLICE_SECONDS = 60.0
# A batch takes no longer, also with an archive that answers slowly: whoever is silent for so long is dead.
STUCK_AFTER = timedelta(minutes=10)
KEPT = timedelta(days=90)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Worked:
    """``more``: its time ended before the work did. ``busy``: another one is at it, or it is finished."""

    removed: int = 0
    more: bool = False
    busy: bool = False
    trouble: str = ""


def due(now: datetime) -> list[UUID]:
    """Runs that a worker is to be asked to go on with; today's is made here, once, where anything is to be removed."""
    unfinished = RetentionRun.objects.filter(finished_at=None)
    if configured().days and not unfinished.filter(day__isnull=False).exists():
        RetentionRun.objects.get_or_create(day=now.date(), defaults={"began_at": now})
    silent = now - STUCK_AFTER
    asleep = Q(worked_at=None) | Q(worked_at__lt=silent)
    waiting = unfinished.filter(asleep, Q(asked_at=None) | Q(asked_at__lt=silent))
    found = [pk for pk in waiting.values_list("pk", flat=True) if waiting.filter(pk=pk).update(asked_at=now)]
    RetentionRun.objects.filter(finished_at__lt=now - KEPT).delete()
    return found


def begin(*, org: Org | None, older_than: int | None) -> RetentionRun:
    """By hand, for whoever works on it next. Raises `TooShort`."""
    periods(older_than)
    now = clock.now()
    return RetentionRun.objects.create(org=org, older_than=older_than, began_at=now, asked_at=now)


def work(run_id: UUID, *, seconds: float | None = None) -> Worked:
    """Go on with a run; after ``seconds`` no further batch is begun. Trouble with the archive leaves it unfinished."""
    now = clock.now()
    free = Q(worked_at=None) | Q(worked_at__lt=now - STUCK_AFTER)
    claimed = RetentionRun.objects.filter(free, pk=run_id, finished_at=None).update(worked_at=now)
    if not claimed:
        return Worked(busy=True)
    run = RetentionRun.objects.select_related("org").get(pk=run_id)
    ends = None if seconds is None else time.monotonic() + seconds
    try:
        worked = _work(run, ends)
    finally:
        RetentionRun.objects.filter(pk=run_id).update(worked_at=None)
    RetentionRun.objects.filter(pk=run_id).update(
        trouble=worked.trouble,
        finished_at=None if worked.more or worked.trouble else clock.now(),
    )
    return worked


def _work(run: RetentionRun, ends: float | None) -> Worked:
    removed, kept = 0, periods(run.older_than)
    try:
        for org in _orgs_left(run):
            share, _ = RetentionShare.objects.get_or_create(run=run, org=org)
            for how_many in _of_org(share, kept, run.began_at):
                removed += how_many
                RetentionRun.objects.filter(pk=run.pk).update(worked_at=clock.now())
                if _over(ends):
                    return Worked(removed, more=True)
            _finish(share)
            # Also where nothing went: thousands of orgs take their time.
            if _over(ends):
                return Worked(removed, more=True)
    except ArchiveUnavailable as error:
        log.warning("retention.archive_unavailable", run_id=str(run.pk), error=str(error))
        return Worked(removed, trouble=f"The archive can't be used: {error}")
    return Worked(removed)


def _orgs_left(run: RetentionRun) -> list[Org]:
    finished = RetentionShare.objects.filter(run=run, org=OuterRef("pk"), finished_at__isnull=False)
    orgs = Org.objects.filter(~Exists(finished)).order_by("pk")
    return list(orgs.filter(pk=run.org_id) if run.org_id else orgs)


def _of_org(share: RetentionShare, kept: Periods, began: datetime) -> Iterator[int]:
    yield from finish_removed(share.org_id)
    for kind in Kind:
        before = kept.before(kind, began)
        if before is not None:
            yield from remove(kind, share, before)


def _over(ends: float | None) -> bool:
    return ends is not None and time.monotonic() >= ends


@transaction.atomic
def _finish(share: RetentionShare) -> None:
    """With one audit entry, whoever else believes to finish it."""
    unfinished = RetentionShare.objects.filter(pk=share.pk, finished_at=None)
    if not unfinished.update(finished_at=clock.now()):
        return
    share.refresh_from_db()
    removed = {str(kind): getattr(share, kind) for kind in Kind}
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
