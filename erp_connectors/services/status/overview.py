"""The values of a user's front page, with a fixed number of statements."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Max

from erp_connectors.services.status.attention import Need, NeedKind, list_needs
from erp_connectors.services.status.connection_health import Health, State, connections_health
from erp_connectors.services.status.daily_stats import Daily, daily
from orderflow import clock
from orderflow.heartbeat.models import Heartbeat
from orderflow.tenancy.models import Org, User

SILENT_AFTER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Overview:
    at: datetime
    orgs: dict[object, Org]
    health: Sequence[Health]
    needs: Sequence[Need]
    daily: Daily

    @property
    def last_success(self) -> datetime | None:
        return max((one.connection.last_success_at for one in self.health if one.connection.last_success_at),
                   default=None)  # fmt: skip


def overview(user: User, *, now: datetime | None = None) -> Overview:
    """The state of the user's org, or of all orgs for platform staff."""
    now = now or clock.now()
    orgs: dict[object, Org] = {org.pk: org for org in Org.objects.visible_to(user)}
    health = connections_health(user)
    needs = [*_silence(health, now), *list_needs(user, health, now=now)]
    return Overview(now, orgs, health, needs, daily(user, now=now))


def _silence(health: Sequence[Health], now: datetime) -> list[Need]:
    """Return since when no worker has moved although there is work. A running worker beats, polls or delivers."""
    working = [one for one in health if one.state >= State.RETRYING and _due(one, now)]
    if not working:
        return []
    signs = [Heartbeat.objects.aggregate(last=Max("beat_at"))["last"]]
    signs += [
        sign for one in working for sign in (one.connection.last_poll_at, one.connection.last_success_at)
    ]
    last = max((sign for sign in signs if sign), default=None)
    expected_since = min(one.oldest or one.connection.created_at for one in working)
    if (last or expected_since) > now - SILENT_AFTER:
        return []
    return [Need(kind=NeedKind.WORKERS_SILENT, org_id=None, since=last)]


def _due(one: Health, now: datetime) -> bool:
    """Return True if the row is due, not if it waits for a later attempt."""
    row = one.connection
    sends = one.waiting > 0 and (row.retry_at is None or row.retry_at <= now)
    polls = one.polled and (row.poll_retry_at is None or row.poll_retry_at <= now)
    return sends or polls
