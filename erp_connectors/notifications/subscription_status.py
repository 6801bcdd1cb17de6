"""The status of a subscription, for its page."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from django.db.models import Count

from erp_connectors.notifications.models import Notification
from erp_connectors.notifications.sending import GIVEN_UP_AFTER
from erp_connectors.outbox.delivery_errors import worded
from erp_connectors.outbox.events import Event
from erp_connectors.outbox.models import Subscription

SHOWN = 10


class State(Enum):
    WORKS = auto()
    UNUSED = auto()
    FAILING = auto()
    GIVEN_UP = auto()
    OFF = auto()


@dataclass(frozen=True, slots=True)
class SentNotification:
    created_at: datetime
    what: str
    count: int
    attempts: int
    sent_at: datetime | None
    dropped_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionStatus:
    """``cause`` and ``hint`` of the last failure; ``gives_up_at``: if it goes on failing until then."""

    state: State
    cause: str
    hint: str
    gives_up_at: datetime | None
    waiting: int
    last: list[SentNotification]

    @property
    def given_up(self) -> bool:
        return self.state is State.GIVEN_UP


def state_of(row: Subscription) -> State:
    if not row.active:
        return State.OFF
    if row.given_up_at:
        return State.GIVEN_UP
    if row.last_error:
        return State.FAILING
    return State.WORKS if row.last_success_at else State.UNUSED


def status_of(row: Subscription) -> SubscriptionStatus:
    """Return the status, with two statements."""
    cause, hint = worded(row.last_error)
    waiting = row.pending_events.aggregate(n=Count("pk"))["n"]
    failing = row.failing_since if not row.given_up_at and row.failures_in_row else None
    return SubscriptionStatus(
        state=state_of(row),
        cause=cause,
        hint=hint,
        gives_up_at=failing + GIVEN_UP_AFTER if failing else None,
        waiting=waiting,
        last=[_sent(one) for one in row.notifications.order_by("-created_at")[:SHOWN]],
    )


def _sent(row: Notification) -> SentNotification:
    return SentNotification(
        row.created_at,
        str(Event(row.event).label),
        row.content["count"],
        row.attempts,
        row.sent_at,
        row.dropped_at,
    )
