"""Make notifications of pending events: many events of one kind become one."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import transaction
from django.db.models import Min

from erp_connectors.models import ERPConnection
from erp_connectors.notifications.models import Notification
from erp_connectors.notifications.notification_content import content_of, still_true
from erp_connectors.outbox.events import OF_A_CIRCUIT, Event
from erp_connectors.outbox.models import PendingEvent, Subscription

AT_ONCE = 5000


def gather(now: datetime) -> int:
    """Make the due notifications; return how many. Parallel calls make none twice."""
    ripe = now - timedelta(seconds=settings.NOTIFICATION_WINDOW_SECONDS)
    waiting = (
        PendingEvent.objects.filter(subscription__in=Subscription.objects.listening())
        .values_list("subscription", flat=True)
        .annotate(oldest=Min("at"))
        .filter(oldest__lte=ripe)
    )
    return sum(_gather(subscription_id, ripe, now) for subscription_id in list(waiting))


@transaction.atomic
def _gather(subscription_id: UUID, ripe: datetime, now: datetime) -> int:
    """Make the due notifications of a subscription. Its row is locked, so no other worker counts its events."""
    locked = Subscription.objects.listening().select_for_update(of=("self",)).select_related("org")
    subscription = locked.filter(pk=subscription_id).first()
    if subscription is None:
        return 0
    made = sum(
        _notify(subscription, event, _of_exports(subscription, event), now)
        for event in Event
        if event not in OF_A_CIRCUIT and _due(subscription, [event], ripe, now)
    )
    if _due(subscription, OF_A_CIRCUIT, ripe, now):
        made += _circuits(subscription, now)
    return made


def _due(subscription: Subscription, events: Sequence[Event], ripe: datetime, now: datetime) -> bool:
    """The oldest has waited for others, nothing alike waits to be sent, and the last one was not just now."""
    if not subscription.pending_events.filter(event__in=events, at__lte=ripe).exists():
        return False
    alike = subscription.notifications.filter(event__in=events)
    paused = now - timedelta(seconds=settings.NOTIFICATION_PAUSE_SECONDS)
    return not (alike.unsent().exists() or alike.filter(created_at__gt=paused).exists())


def _of_exports(subscription: Subscription, event: Event) -> list[PendingEvent]:
    """Takes them out of the outbox; what was put right meanwhile is left out."""
    found = list(
        subscription.pending_events.filter(event=event)
        .select_related("connection__org", "export__draft_order")
        .defer("export__payload")
        .order_by("at", "pk")[:AT_ONCE]
    )
    PendingEvent.objects.filter(pk__in=[one.pk for one in found]).delete()
    return [one for one in found if one.export and still_true(event, one.export)]


def _circuits(subscription: Subscription, now: datetime) -> int:
    """Compare circuits with the last notification: one that closes and opens again with each probe is not reported."""
    found = list(
        subscription.pending_events.filter(event__in=OF_A_CIRCUIT)
        .select_related("connection__org")
        .order_by("at", "pk")[:AT_ONCE]
    )
    PendingEvent.objects.filter(pk__in=[one.pk for one in found]).delete()
    reported, last = set(subscription.reported_circuits), {one.connection_id: one for one in found}
    opened: list[PendingEvent] = []
    closed: list[PendingEvent] = []
    for one in last.values():
        is_open, was_reported = one.connection.circuit_open, str(one.connection_id) in reported
        if is_open != was_reported:
            (opened if is_open else closed).append(one)
    reported = (reported | _ids(opened)) - _ids(closed)
    Subscription.objects.filter(pk=subscription.pk).update(reported_circuits=sorted(reported))
    return _notify(subscription, Event.CIRCUIT_OPENED, opened, now) + _notify(
        subscription, Event.CIRCUIT_CLOSED, closed, now
    )


def _ids(pending_events: Sequence[PendingEvent]) -> set[str]:
    return {str(one.connection_id) for one in pending_events}


def _notify(
    subscription: Subscription, event: Event, pending_events: Sequence[PendingEvent], now: datetime
) -> int:
    if not pending_events or not subscription.wants(event):
        return 0
    content = msgspec.to_builtins(content_of(subscription, event, pending_events))
    Notification.objects.create(subscription=subscription, event=event, content=content, created_at=now)
    return 1


def open_circuits(org_id: UUID, connection_id: UUID | None) -> list[str]:
    """Return the open circuits at the start of a subscription: only their end will be reported."""
    mine = ERPConnection.objects.for_org(org_id).exclude(circuit_opened_at=None)
    mine = mine.filter(pk=connection_id) if connection_id else mine
    return sorted(str(pk) for pk in mine.values_list("pk", flat=True))
