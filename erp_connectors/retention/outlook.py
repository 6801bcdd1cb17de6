"""The state of retention, for `prune`, metrics and `doctor`."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

import msgspec
from django.db.models import Max, Min

from erp_connectors.retention.models import RetentionRun
from erp_connectors.retention.periods import ContentKind, Periods, configured
from erp_connectors.retention.rules import kept_by_reason, remaining
from orderflow.tenancy.models import Org

FOR_EVER = "kept for ever"


class ContentOutlook(msgspec.Struct, kw_only=True, frozen=True):
    """Outlook of one kind of content; ``stays`` by reason."""

    kind: ContentKind
    goes: int
    stays: dict[str, int]


class Outlook(msgspec.Struct, kw_only=True, frozen=True):
    """The contents of an org that a run would remove, and why others stay."""

    org: str
    contents: list[ContentOutlook]

    def lines(self) -> list[str]:
        return [text for line in self.contents for text in self._of(line)]

    def _of(self, line: ContentOutlook) -> Iterator[str]:
        yield f"{self.org:20.20} {line.kind:8} {line.goes:>9} go"
        for why, how_many in sorted(line.stays.items(), key=lambda one: -one[1]):
            yield f"{'':20} {'':8} {how_many:>9} stay: {why}"


def outlook(org: Org, kept: Periods, now: datetime) -> Outlook:
    return Outlook(org=org.slug, contents=[_line(kind, org, kept.before(kind, now)) for kind in ContentKind])


def finished_at() -> datetime | None:
    """Return when a daily run last ended, or since when the first is due; None if nothing is to be removed."""
    if not configured().days:
        return None
    daily = RetentionRun.objects.filter(day__isnull=False)
    last, first = daily.aggregate(last=Max("finished_at"), first=Min("began_at")).values()
    found: datetime | None = last or first
    return found


def _line(kind: ContentKind, org: Org, before: datetime | None) -> ContentOutlook:
    if before is None:
        how_many = remaining(kind, org.pk).count()
        return ContentOutlook(kind=kind, goes=0, stays={FOR_EVER: how_many} if how_many else {})
    found = Counter(kept_by_reason(kind, org.pk, before))
    return ContentOutlook(kind=kind, goes=found.pop("", 0), stays=dict(found))
