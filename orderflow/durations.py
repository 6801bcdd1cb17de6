"""Lengths of time in the reader's language."""

from datetime import timedelta

from django.utils.translation import gettext as _
from django.utils.translation import ngettext


def duration(took: timedelta) -> str:
    """Return the duration in its two largest units."""
    took = max(took, timedelta())
    seconds = took // timedelta(seconds=1)
    if not seconds:
        return _("%(n)s ms") % {"n": took // timedelta(milliseconds=1)}
    if seconds < 60:
        return _("%(n)s s") % {"n": seconds}
    minutes, hours, days = seconds // 60, seconds // 3600, took.days
    if not hours:
        return _("%(n)s min %(s)s s") % {"n": minutes, "s": seconds % 60}
    if not days:
        return _("%(n)s h %(m)s min") % {"n": hours, "m": minutes % 60}
    return ngettext("%(n)s day %(h)s h", "%(n)s days %(h)s h", days) % {"n": days, "h": hours % 24}
