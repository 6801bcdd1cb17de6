"""The overview's charts: what the last days were like, in words and formats of the active language."""

from datetime import date

from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _

from erp_connectors.admin.overview.chart_geometry import Chart, Series, lines, stacked
from erp_connectors.services.status.daily_stats import Daily
from erp_connectors.states import ExportStatus

MINUTE, HOUR, DAY = 60, 3600, 86_400
STEPS = [
    *(2, 4, 10, 20, 30, MINUTE),
    *(MINUTE * n for n in (2, 4, 10, 20, 30)),
    *(HOUR * n for n in (1, 2, 4, 6, 12)),
    *(DAY * n for n in (1, 2, 4, 8, 14, 30, 60, 120, 365)),
]
# As a bar is stacked: what is done at its foot, what failed on top.
STACKED = (ExportStatus.ACKED, ExportStatus.SENT, ExportStatus.PENDING, ExportStatus.FAILED)


def charts(daily: Daily) -> list[Chart]:
    days = [_day(day) for day in daily.days]
    return [_exports(daily, days), _latency(daily, days)]


def _exports(daily: Daily, days: list[str]) -> Chart:
    labels = {
        ExportStatus.ACKED: _("acked"),
        ExportStatus.SENT: _("sent"),
        ExportStatus.PENDING: _("pending"),
        ExportStatus.FAILED: _("failed"),
    }
    series = [
        Series(
            status.lower(), labels[status], [daily.exports.get(day, {}).get(status, 0) for day in daily.days]
        )
        for status in STACKED
    ]
    return stacked("exports-by-day", _("Exports by day"), days, series, format_value=_count)


def _latency(daily: Daily, days: list[str]) -> Chart:
    found = [daily.latency.get(day) for day in daily.days]
    series = [
        Series("median", _("median"), [one.median.total_seconds() if one else None for one in found]),
        Series("p95", _("95th percentile"), [one.p95.total_seconds() if one else None for one in found]),
    ]
    title = _("Response time of the ERP")
    return lines("answer-times", title, days, series, format_value=tick_label, steps=STEPS)


def tick_label(seconds: float) -> str:
    """Short, in one unit."""
    for size, unit in ((DAY, _("d")), (HOUR, _("h")), (MINUTE, _("min"))):
        if seconds >= size:
            return f"{_short(seconds / size)} {unit}"
    return f"{_short(seconds)} s"


def _short(number: float) -> str:
    decimals = 0 if number >= 10 or number == int(number) else 1
    return number_format(number, decimals)


def _count(number: float) -> str:
    return number_format(number, 0, force_grouping=True)


def _day(day: date) -> str:
    return date_format(day, _("j M"))
