"""Send notifications: one worker at a time per subscription, with back-off after a failure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
import structlog
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils.translation import override

from erp_connectors import leases
from erp_connectors.crashpoints import crashpoint
from erp_connectors.faults import Fault
from erp_connectors.leases import Lease, LeaseKind, LeasePurpose
from erp_connectors.notifications import mail, webhooks
from erp_connectors.notifications.email_text import email_of
from erp_connectors.notifications.models import Notification
from erp_connectors.notifications.notification_content import NotificationContent
from erp_connectors.notifications.payload import payload_of
from erp_connectors.notifications.secrets import signing_keys
from erp_connectors.notifications.signing import signed_headers
from erp_connectors.outbox.delivery_errors import ADDRESS_REFUSED, NotDelivered
from erp_connectors.outbox.events import Event
from erp_connectors.outbox.models import LISTENING, Channel, Subscription
from orderflow import clock
from orderflow.backoff import backoff, with_jitter
from orderflow.transitions import LostRace

SENDING = LeaseKind(LeasePurpose.NOTIFICATION, Subscription, "lease", lambda: timedelta(minutes=5))
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)
TRIED_FOR = timedelta(hours=24)
GIVEN_UP_AFTER = timedelta(days=3)
KEPT = timedelta(days=30)
# Receivers that hang must not keep the workers from delivering orders.
AT_ONCE, FAILING_AT_ONCE = 20, 4
OUTCOME = [
    "failures_in_row", "failing_since", "retry_at", "last_success_at", "last_failure_at", "last_error",
    "given_up_at",
]  # fmt: skip

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    lease: Lease
    subscription: Subscription


def due(now: datetime) -> list[UUID]:
    """Return subscriptions with unsent notifications and no sender; of failing ones only a few at once."""
    unsent = Notification.objects.unsent().filter(subscription=OuterRef("pk"))
    ready = (
        Subscription.objects.filter(SENDING.free(now), _not_paused(now))
        .listening()
        .filter(Exists(unsent))
        .order_by("retry_at", "pk")
    )
    well = ready.filter(failing_since=None)[:AT_ONCE]
    failing = ready.exclude(failing_since=None)[:FAILING_AT_ONCE]
    return [*well.values_list("pk", flat=True), *failing.values_list("pk", flat=True)]


def send(subscription_id: UUID) -> int:
    """Send what waits, until something does not get through; returns how many did."""
    lease = leases.take(subscription_id, SENDING, only_if=LISTENING & _not_paused(clock.now()))
    if lease is None:
        return 0
    claim = Claim(lease, Subscription.objects.select_related("org").get(pk=subscription_id))
    sent = 0
    try:
        while (notification := _next(claim)) and _send_one(claim, notification):
            sent += 1
    except LostRace as lost:
        log.warning("notification.lease_lost", subscription_id=str(subscription_id), reason=str(lost))
    finally:
        leases.release(lease)
    return sent


def forget_old(now: datetime) -> int:
    return Notification.objects.filter(created_at__lt=now - KEPT).delete()[0]


def _not_paused(now: datetime) -> Q:
    return Q(retry_at=None) | Q(retry_at__lte=now)


def _next(claim: Claim) -> Notification | None:
    """Return the least tried notification, so that one that the receiver refuses does not block the others."""
    now = clock.now()
    leases.renew(claim.lease)
    unsent = claim.subscription.notifications.unsent().filter(
        subscription__in=Subscription.objects.listening()
    )
    unsent.filter(created_at__lt=now - TRIED_FOR).update(dropped_at=now)
    notification = unsent.order_by("attempts", "created_at").first()
    if notification:
        Notification.objects.filter(pk=notification.pk).update(attempts=F("attempts") + 1)
    return notification


def _send_one(claim: Claim, notification: Notification) -> bool:
    problem: NotDelivered | None = None
    try:
        _bring(claim.subscription, notification)
    except NotDelivered as not_delivered:
        problem = not_delivered
    if problem and not (notification.reached and problem.code == ADDRESS_REFUSED):
        _failed(claim, notification, problem)
        return False
    crashpoint("notified")
    _sent(claim, notification, problem)
    return True


@transaction.atomic
def _sent(claim: Claim, notification: Notification, problem: NotDelivered | None) -> None:
    """Record the notification as sent. ``problem``: one of several addresses was refused; the others got the mail."""
    now = clock.now()
    row = leases.held(claim.lease).select_for_update().first()
    Notification.objects.filter(pk=notification.pk).update(sent_at=now)
    if row is not None:
        row.last_success_at, row.retry_at, row.failures_in_row = now, None, 0
        row.failing_since = (row.failing_since or now) if problem else None
        row.last_error = problem.as_row() if problem else None
        row.last_failure_at = now if problem else row.last_failure_at
        row.save(update_fields=OUTCOME)


def _bring(subscription: Subscription, notification: Notification) -> None:
    """Raises `NotDelivered`."""
    if subscription.channel == Channel.WEBHOOK:
        post_signed(subscription, str(notification.pk), payload_of(notification))
        return
    with override(subscription.language):
        email = email_of(
            Event(notification.event), msgspec.convert(notification.content, NotificationContent)
        )

    def reached(address: str) -> None:
        notification.reached.append(address)
        Notification.objects.filter(pk=notification.pk).update(reached=notification.reached)

    waiting = [address for address in subscription.recipients if address not in notification.reached]
    mail.post(email, waiting, str(notification.pk), reached)


def post_signed(subscription: Subscription, message_id: str, body: bytes) -> int:
    """Raises `NotDelivered`."""
    now = clock.now()
    try:
        keys = signing_keys(subscription, now)
    except Fault:
        raise NotDelivered("SECRET_UNREADABLE") from None
    headers = signed_headers(keys, message_id, int(now.timestamp()), body)
    return webhooks.post(subscription.url, body, headers)


@transaction.atomic
def _failed(claim: Claim, notification: Notification, problem: NotDelivered) -> None:
    """Back off after a failure; after days of failures, give up until a user sends a test."""
    row = leases.held(claim.lease).select_for_update().first()
    if row is None:
        return
    now = clock.now()
    row.failures_in_row += 1
    row.failing_since = row.failing_since or now
    pause = backoff(row.failures_in_row, first=FIRST_PAUSE, longest=LONGEST_PAUSE)
    row.retry_at = now + with_jitter(pause)
    row.last_failure_at, row.last_error = now, problem.as_row()
    if problem.final or now - row.failing_since >= GIVEN_UP_AFTER:
        _give_up(row, now)
    row.save(update_fields=OUTCOME)
    log.warning(
        "notification.not_delivered",
        subscription_id=str(row.pk),
        org_id=str(row.org_id),
        notification_id=str(notification.pk),
        code=problem.code,
        given_up=row.given_up_at is not None,
    )


def _give_up(row: Subscription, now: datetime) -> None:
    """Stop sending, and drop what was not sent: it would be outdated once the receiver works again."""
    row.given_up_at = now
    row.notifications.unsent().update(dropped_at=now)
    row.pending_events.all().delete()
