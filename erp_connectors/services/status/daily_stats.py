"""Statistics of the last days: exports by status, and the time to the ERP's answer."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import Count, DurationField, ExpressionWrapper, F, Q, QuerySet, Window
from django.db.models.functions import RowNumber, TruncDate
from django.utils.timezone import get_current_timezone, localdate

from erp_connectors.models import ERPExport
from erp_connectors.states import ExportStatus
from orderflow.tenancy.models import Org, User

DAYS = 14


@dataclass(frozen=True, slots=True)
class Latency:
    """``p95``: 95 of 100 answers took no longer."""

    median: timedelta
    p95: timedelta
    answers: int


@dataclass(frozen=True, slots=True)
class Daily:
    """``days`` as the active time zone has them, today last; a day without exports is in neither table."""

    days: Sequence[date]
    exports: Mapping[date, Mapping[str, int]]
    latency: Mapping[date, Latency]


def daily(user: User, *, now: datetime, days: int = DAYS) -> Daily:
    """Return the statistics, with two statements. An export and its answer count on the day of the push."""
    today = localdate(now)
    shown = [today - timedelta(days=back) for back in reversed(range(days))]
    first = datetime.combine(shown[0], time.min, tzinfo=get_current_timezone())
    # By a list of orgs also where all are meant: so one index on org and time serves everybody.
    orgs = Org.objects.visible_to(user).order_by().values("pk")
    exports = ERPExport.objects.filter(org__in=orgs, created_at__gte=first).order_by()
    exports = exports.annotate(day=TruncDate("created_at", tzinfo=get_current_timezone()))
    return Daily(shown, _by_status(exports), _latency(exports))


def _by_status(exports: QuerySet[Any]) -> Mapping[date, Mapping[str, int]]:
    found: dict[date, dict[str, int]] = defaultdict(dict)
    # Naming every status lets an index that begins with org and status answer alone.
    counted = exports.filter(status__in=ExportStatus.values).values_list("day", "status")
    for day, status, how_many in counted.annotate(Count("pk")):
        found[day][status] = how_many
    return found


def _latency(exports: QuerySet[Any]) -> Mapping[date, Latency]:
    """Ranked by the database, as SQLite knows no percentiles; early answers are older than their SENT."""
    answered = exports.filter(answered_at__isnull=False, sent_at__isnull=False)
    took = ExpressionWrapper(F("answered_at") - F("sent_at"), output_field=DurationField())
    ranked = answered.annotate(
        took=took,
        place=Window(RowNumber(), partition_by=[F("day")], order_by=[F("took").asc()]),
        answers=Window(Count("pk"), partition_by=[F("day")]),
    )
    median, p95 = (F("answers") + 1) / 2, (F("answers") * 95 + 99) / 100
    rows = ranked.filter(Q(place=median) | Q(place=p95)).values_list("day", "took", "answers")
    found: dict[date, list[timedelta]] = defaultdict(list)
    numbers: dict[date, int] = {}
    for day, length, answers in rows:
        found[day].append(max(length, timedelta()))
        numbers[day] = answers
    return {day: Latency(min(lengths), max(lengths), numbers[day]) for day, lengths in found.items()}
