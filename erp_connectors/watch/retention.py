"""Check that retention runs in time, for `doctor`."""

from collections.abc import Iterator
from datetime import timedelta

from erp_connectors.retention.models import RetentionRun
from erp_connectors.retention.outlook import finished_at
from erp_connectors.retention.periods import configured
from erp_connectors.watch.check_results import CheckResult, ok, warning
from orderflow import clock

LATE = timedelta(days=2)


def retention() -> Iterator[CheckResult]:
    kept = configured()
    if not kept.days:
        yield ok("everything is kept for ever")
        return
    since = finished_at()
    stuck = RetentionRun.objects.filter(finished_at=None).exclude(error="").order_by("began_at").first()
    if stuck:
        yield warning(stuck.error, "See what the check of the storage says; workers go on by themselves.")
    if since and clock.now() - since > LATE:
        yield warning(
            f"Nothing was removed to the end since {since:%Y-%m-%d %H:%M} UTC.",
            "Workers do it once a day: see what the check of them says. Now: manage.py prune",
        )
    days = ", ".join(f"{kind} {days} days" for kind, days in kept.days.items())
    yield ok(f"kept: {days}")
