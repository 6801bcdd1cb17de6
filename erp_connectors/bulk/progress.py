"""The progress of a run, for the user who waits for it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count
from django.utils.translation import gettext as _

from erp_connectors.bulk.models import BulkRun, Outcome
from orderflow import clock
from orderflow.heartbeat.models import Heartbeat

# A worker that is only busy sends a heartbeat more often than this.
SILENT_AFTER = timedelta(seconds=45)
PATIENCE = timedelta(seconds=5)
SILENT = (
    "No worker is running. Ask the operator of OrderFlow to start run_workers. The open orders then "
    "continue automatically."
)


@dataclass(frozen=True, slots=True)
class Progress:
    """Counts of rows; ``problem`` says why nothing moves, if it is known."""

    total: int
    open: int
    done: int
    same: int
    refused: int
    problem: str = ""

    @property
    def handled(self) -> int:
        return self.total - self.open


def progress_of(run: BulkRun) -> Progress:
    rows = run.rows.order_by().values_list("outcome").annotate(Count("pk"))
    counts: dict[str, int] = dict(rows)
    waits = run.confirmed_at is not None and run.finished_at is None
    return Progress(
        total=sum(counts.values()),
        open=counts.get(Outcome.OPEN, 0),
        done=counts.get(Outcome.DONE, 0),
        same=counts.get(Outcome.SAME, 0),
        refused=counts.get(Outcome.REFUSED, 0),
        problem=_problem(run, clock.now()) if waits else "",
    )


def _problem(run: BulkRun, now: datetime) -> str:
    if run.worked_at is None or now - run.worked_at < PATIENCE:
        return ""
    alive = Heartbeat.objects.order_by("-beat_at").first()
    if alive is not None and now - alive.beat_at < SILENT_AFTER:
        return ""
    return _(SILENT)
