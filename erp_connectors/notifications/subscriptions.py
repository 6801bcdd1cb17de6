"""Set up, change, test and remove a subscription; every change is audited, without its secrets."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import override

from erp_connectors.notifications import mail
from erp_connectors.notifications.digests import open_circuits
from erp_connectors.notifications.email_text import trial_email
from erp_connectors.notifications.notification_content import connection_ref
from erp_connectors.notifications.payload import trial_payload
from erp_connectors.notifications.secrets import new_secret_only, renew_secret
from erp_connectors.notifications.sending import OUTCOME, post_signed
from erp_connectors.outbox.delivery_errors import NotDelivered
from erp_connectors.outbox.models import Channel, Subscription
from orderflow import clock
from orderflow.audit.models import Action
from orderflow.audit.services import Entry, record
from orderflow.tenancy.models import Org, User

MAX_SUBSCRIPTIONS = 20


class SubscriptionRefused(Exception):
    """The subscription conflicts with other rows. Nothing was changed."""


class TooMany(SubscriptionRefused):
    """The org has `MAX_SUBSCRIPTIONS` already."""


class DuplicateSubscription(SubscriptionRefused):
    """Another subscription has the same URL and connection."""


@dataclass(frozen=True, slots=True)
class SubscriptionTestResult:
    """``problem`` is None if the test was delivered. ``resumed``: sending had been given up and starts again."""

    problem: NotDelivered | None
    answered: int = 0
    resumed: bool = False


def create(subscription: Subscription, *, actor: User) -> str:
    """Returns the signing secret of a webhook, which is shown this once. Raises `SubscriptionRefused`."""
    secret = ""
    with transaction.atomic():
        # Locked, so that two at once don't pass the limit together.
        Org.objects.select_for_update().get(pk=subscription.org_id)
        if Subscription.objects.for_org(subscription.org_id).count() >= MAX_SUBSCRIPTIONS:
            raise TooMany
        if subscription.channel == Channel.WEBHOOK:
            secret = renew_secret(subscription, timezone.now())
        subscription.reported_circuits = open_circuits(subscription.org_id, subscription.connection_id)
        _save(subscription)
        _audit(subscription, Action.SUBSCRIPTION_CREATED, actor, after=_public(subscription))
    return secret


def change(subscription: Subscription, *, actor: User) -> str:
    """As the form left it. Raises `SubscriptionRefused`.

    A webhook that had no secret, or whose URL changed, gets a new one, which is returned. The old
    one no longer signs: a receiver must not get anything signed with the secret of another.
    """
    with transaction.atomic():
        stored = Subscription.objects.select_for_update().select_related("org").get(pk=subscription.pk)
        secret = ""
        if subscription.channel == Channel.WEBHOOK and (
            stored.secret_set_at is None or stored.url != subscription.url
        ):
            secret = new_secret_only(subscription, timezone.now())
        _save(subscription)
        _begin_anew(stored, subscription)
        _audit(
            subscription,
            Action.SUBSCRIPTION_CHANGED,
            actor,
            before=_public(stored),
            after=_public(subscription),
        )
    return secret


def replace_secret(subscription_id: UUID, *, actor: User) -> str:
    """Return a new secret, to be shown once; the old one signs along for a day."""
    with transaction.atomic():
        subscription = Subscription.objects.select_for_update().get(pk=subscription_id)
        secret = renew_secret(subscription, timezone.now())
        subscription.save(update_fields=["secrets", "secret_set_at", "updated_at"])
        _audit(subscription, Action.WEBHOOK_SECRET_REPLACED, actor)
    return secret


def remove(subscription: Subscription, *, actor: User) -> None:
    with transaction.atomic():
        _audit(subscription, Action.SUBSCRIPTION_DELETED, actor, before=_public(subscription))
        subscription.delete()


def send_test(subscription_id: UUID, *, actor: User) -> SubscriptionTestResult:
    """Send a test now, once. If it succeeds, resume a subscription that was given up."""
    subscription = Subscription.objects.select_related("org", "connection__org").get(pk=subscription_id)
    answered, problem = 0, None
    try:
        answered = _bring_test(subscription)
    except NotDelivered as not_delivered:
        problem = not_delivered
    with transaction.atomic():
        row = Subscription.objects.select_for_update().get(pk=subscription_id)
        resumed = row.given_up_at is not None and problem is None
        _note_test(row, problem)
        after = {"success": problem is None, "code": problem.code if problem else None}
        _audit(row, Action.SUBSCRIPTION_TESTED, actor, after=after)
    return SubscriptionTestResult(problem, answered, resumed)


def _bring_test(subscription: Subscription) -> int:
    ref = connection_ref(subscription.connection) if subscription.connection else None
    if subscription.channel == Channel.WEBHOOK:
        body = trial_payload(subscription.org.slug, ref, timezone.now())
        return post_signed(subscription, str(uuid4()), body)
    with override(subscription.language):
        email = trial_email(subscription.org.name, ref)
    mail.post(email, subscription.recipients, str(uuid4()), lambda address: None)
    return 0


def _note_test(row: Subscription, problem: NotDelivered | None) -> None:
    now = clock.now()
    if problem:
        row.last_failure_at, row.last_error = now, problem.as_row()
    else:
        row.last_success_at, row.last_error, row.retry_at = now, None, None
        row.failing_since, row.failures_in_row = None, 0
        if row.given_up_at:
            row.given_up_at = None
            row.reported_circuits = open_circuits(row.org_id, row.connection_id)
    row.save(update_fields=[*OUTCOME, "reported_circuits"])


def _begin_anew(stored: Subscription, changed: Subscription) -> None:
    """Somebody saw to it: what it failed with belongs to what it was before."""
    elsewhere = (stored.channel, stored.addresses, stored.url) != (
        changed.channel,
        changed.addresses,
        changed.url,
    )
    switched_on = changed.active and not stored.active
    rows = Subscription.objects.filter(pk=stored.pk)
    if elsewhere or switched_on:
        rows.update(given_up_at=None, failing_since=None, failures_in_row=0, retry_at=None, last_error=None)
    if elsewhere or switched_on or stored.connection_id != changed.connection_id:
        rows.update(reported_circuits=open_circuits(changed.org_id, changed.connection_id))
    if not changed.active:
        changed.pending_events.all().delete()
        changed.notifications.unsent().update(dropped_at=clock.now())


def _save(subscription: Subscription) -> None:
    try:
        with transaction.atomic():
            subscription.save()
    except IntegrityError:
        raise DuplicateSubscription from None


def _public(subscription: Subscription) -> dict[str, Any]:
    return {
        "channel": subscription.channel,
        "to": subscription.recipients or str(subscription),
        "connection": str(subscription.connection_id) if subscription.connection_id else "all",
        "events": subscription.events,
        "language": subscription.language,
        "active": subscription.active,
    }


def _audit(
    subscription: Subscription,
    action: Action,
    actor: User,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    record(
        Entry(
            action=action,
            org_id=subscription.org_id,
            entity_type="Subscription",
            entity_id=subscription.pk,
            actor=actor,
            before=before,
            after=after,
        )
    )
