"""Prometheus counters for all processes: rows that are added in the transaction that they count.

Nobody updates a row, so no worker waits for another's count; `compact` puts many rows together, and one SELECT sees
either all of those or their sum. The counts stay when exports are pruned: a counter never goes down.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from django.db import models, transaction
from django.db.models import Sum

AT_ONCE = 5000
WORTH_IT = 200
INFINITE = "+Inf"


class Name(StrEnum):
    """Names of counters; the comment gives the meaning of ``label``."""

    EXPORTS = "exports"  # the status that an export entered
    FAILURES = "failures"  # the fault's code
    FAULTS = "faults"  # the code of a fault that an attempt met
    ACK_FILES = "ack_files"  # what became of the file
    TAKEOVERS = "takeovers"  # the lease's purpose
    CIRCUITS = "circuits"  # the fault's code
    REMOVED = "removed"  # which content retention removed
    DELIVERY = "delivery"  # the bucket
    ACK = "ack"  # the bucket


# Upper bounds in seconds.
BUCKETS: Mapping[Name, Sequence[float]] = {
    Name.DELIVERY: (1, 2, 5, 10, 30, 60, 300, 900, 3600, 14_400, 86_400),
    Name.ACK: (10, 30, 60, 120, 300, 900, 3600, 14_400, 43_200, 86_400, 259_200),
}


class MetricCount(models.Model):
    """``seconds``: of a histogram's bucket, what its observations add up to."""

    name = models.CharField(max_length=20)
    label = models.CharField(max_length=40)
    count = models.BigIntegerField()
    seconds = models.FloatField(default=0)

    def __str__(self) -> str:
        return f"{self.name} {self.label}: {self.count}"


def count(name: Name, label: str, how_many: int = 1) -> None:
    count_all(name, {label: how_many})


def count_all(name: Name, labels: Mapping[str, int]) -> None:
    add([(name, label, how_many) for label, how_many in labels.items()])


def observe(name: Name, seconds: Iterable[float]) -> None:
    add((), observed={name: seconds})


def add(
    counts: Iterable[tuple[Name, str, int]], *, observed: Mapping[Name, Iterable[float]] | None = None
) -> None:
    """Count labels, and add to histograms. One INSERT, or none if there is nothing to count."""
    rows = [
        MetricCount(name=name, label=label, count=how_many) for name, label, how_many in counts if how_many
    ]
    for name, seconds in (observed or {}).items():
        rows += _observations(name, seconds)
    MetricCount.objects.bulk_create(rows)


def _observations(name: Name, seconds: Iterable[float]) -> Iterable[MetricCount]:
    """Return a row per bucket. A negative time, which clocks that differ produce, counts as none."""
    bounds, counts, sums = BUCKETS[name], Counter[str](), defaultdict[str, float](float)
    for took in seconds:
        at = bisect_left(bounds, took)
        bucket = str(float(bounds[at])) if at < len(bounds) else INFINITE
        counts[bucket] += 1
        sums[bucket] += max(took, 0)
    return (
        MetricCount(name=name, label=bucket, count=how_many, seconds=sums[bucket])
        for bucket, how_many in counts.items()
    )


def totals() -> dict[tuple[str, str], tuple[int, float]]:
    """Return count and seconds by name and label. One statement reads all, so no row is counted twice or missed."""
    rows = MetricCount.objects.values_list("name", "label").annotate(Sum("count"), Sum("seconds"))
    return {(name, label): (how_many, seconds) for name, label, how_many, seconds in rows}


@transaction.atomic
def compact() -> int:
    """Put rows of the same name and label together; returns how many rows that saved."""
    # By their keys, not by a range: a row with a lower key may be committed later.
    rows = list(MetricCount.objects.select_for_update().order_by("pk")[:AT_ONCE])
    together: dict[tuple[str, str], MetricCount] = {}
    for row in rows:
        one = together.setdefault((row.name, row.label), MetricCount(name=row.name, label=row.label, count=0))
        one.count += row.count
        one.seconds += row.seconds
    saved = len(rows) - len(together)
    if saved < WORTH_IT:
        return 0
    MetricCount.objects.filter(pk__in=[row.pk for row in rows]).delete()
    MetricCount.objects.bulk_create(together.values())
    return saved
