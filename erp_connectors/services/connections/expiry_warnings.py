"""Warn of keys and passwords that expire soon, and of weak settings, from a connection's config."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from erp_connectors.config_fields import ConfigField, Purpose
from erp_connectors.connection_config import config_fields
from erp_connectors.faults import Fault
from erp_connectors.models import ERPConnection
from erp_connectors.registry import is_known


class Why(StrEnum):
    RUNS_OUT = "runs_out"
    PLAN_OVERDUE = "plan_overdue"
    WEAK = "weak"


@dataclass(frozen=True, slots=True)
class ExpiryWarning:
    """``field`` is the config's key that it is about, ``label`` that key's name in the language that is active."""

    why: Why
    field: str
    label: str
    day: date | None = None
    days_left: int = 0

    @property
    def text(self) -> str:
        if self.why is Why.WEAK:
            return _("Outdated encryption is allowed")
        if self.why is Why.PLAN_OVERDUE:
            return _("The announced host key was not used until %(day)s. The pinned one still counts.") % {
                "day": _shown(self.day)
            }
        return f"{self.label}: {_shown(self.day)} ({self._when()})"

    def _when(self) -> str:
        if self.days_left == 0:
            return _("today")
        if self.days_left < 0:
            return ngettext("%(n)s day ago", "%(n)s days ago", -self.days_left) % {"n": -self.days_left}
        return ngettext("in %(n)s day", "in %(n)s days", self.days_left) % {"n": self.days_left}


def expiry_warnings(connection: ERPConnection, *, today: date) -> Sequence[ExpiryWarning]:
    """Return the warnings, the most urgent first. Empty if the config can't be read: another check reports that."""
    if not is_known(connection.connector_type):
        return ()
    try:
        config = connection.config
    except Fault:
        return ()
    described = config_fields(connection.connector_type)
    found = [one for field in described for one in _of(field, config.get(field.name), today)]
    return sorted(found, key=lambda one: (one.day is None, one.day or today, one.field))


def _of(field: ConfigField, value: Any, today: date) -> Iterator[ExpiryWarning]:
    if not value:
        return
    if field.purpose is Purpose.WEAKENS:
        yield ExpiryWarning(Why.WEAK, field.name, _(field.label))
    if field.purpose not in (Purpose.EXPIRES, Purpose.ENDS_PLAN):
        return
    day = date.fromisoformat(value)
    if field.purpose is Purpose.ENDS_PLAN and day < today:
        yield ExpiryWarning(Why.PLAN_OVERDUE, field.name, _(field.label), day, (day - today).days)
    if field.purpose is Purpose.EXPIRES and day - today <= timedelta(days=settings.EXPIRY_REMINDER_DAYS):
        yield ExpiryWarning(Why.RUNS_OUT, field.name, _(field.label), day, (day - today).days)


def _shown(day: date | None) -> str:
    return date_format(day, "DATE_FORMAT") if day else ""
