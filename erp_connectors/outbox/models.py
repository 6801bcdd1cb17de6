"""Subscriptions to events, and events that wait for their notification. Rows are the truth.

Both tables belong to the app `notify`, which `erp_connectors.notifications` configures.
"""

from typing import Any, ClassVar
from uuid import uuid4

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from erp_connectors.fields import EncryptedConfigField
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.outbox.events import Event
from orderflow.tenancy.models import Org
from orderflow.tenancy.querysets import OrgScopedQuerySet
from orderflow.tenancy.same_org import SameOrg


class Channel(models.TextChoices):
    EMAIL = "EMAIL", _("E-mail")
    WEBHOOK = "WEBHOOK", _("Webhook")


LISTENING = Q(active=True, given_up_at=None)


class SubscriptionQuerySet(OrgScopedQuerySet["Subscription"]):
    def listening(self) -> "SubscriptionQuerySet":
        return self.filter(LISTENING)


class Subscription(models.Model):
    """``connection`` None: all of the org's.

    The columns from ``reported_circuits`` on belong to the workers, which write them by conditional updates; `save`
    leaves them alone.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    org = models.ForeignKey(Org, on_delete=models.PROTECT, related_name="+")
    connection = models.ForeignKey(
        ERPConnection, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    channel = models.CharField(max_length=10, choices=Channel.choices, default=Channel.EMAIL)
    addresses = models.CharField(max_length=2700, blank=True, default="")
    url = models.URLField(max_length=500, blank=True, default="")
    secrets = EncryptedConfigField(default=dict, editable=False)
    secret_set_at = models.DateTimeField(null=True, editable=False)
    events = models.JSONField(default=list)
    language = models.CharField(max_length=5, default="en")
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    reported_circuits = models.JSONField(
        default=list,
        editable=False,
        help_text="Connections that were reported as held, and not yet as working again.",
    )
    lease_token = models.CharField(max_length=32, blank=True, default="", editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    retry_at = models.DateTimeField(null=True, editable=False)
    failures_in_row = models.PositiveIntegerField(default=0, editable=False)
    failing_since = models.DateTimeField(null=True, editable=False)
    given_up_at = models.DateTimeField(null=True, editable=False)
    last_success_at = models.DateTimeField(null=True, editable=False)
    last_failure_at = models.DateTimeField(null=True, editable=False)
    last_error = models.JSONField(null=True, editable=False)

    KIND: ClassVar[str] = "Webhook"
    CONFIGURED: ClassVar[tuple[str, ...]] = (
        "connection", "channel", "addresses", "url", "secrets", "secret_set_at", "events", "language", "active",
        "updated_at",
    )  # fmt: skip

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        app_label = "notify"
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(channel__in=Channel.values), name="subscription_channel_is_known"
            ),
            models.UniqueConstraint(
                fields=["connection", "url"],
                condition=Q(channel=Channel.WEBHOOK),
                name="webhook_once_per_connection",
            ),
            # One for all connections is another; not every database takes two empty ones for the same.
            models.UniqueConstraint(
                fields=["org", "url"],
                condition=Q(channel=Channel.WEBHOOK, connection=None),
                name="webhook_once_for_all_connections",
            ),
            SameOrg(field="connection", name="subscription_connection_of_same_org"),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["org"], name="subscription_failing", condition=Q(failing_since__isnull=False)
            )
        ]

    def __str__(self) -> str:
        if self.channel == Channel.WEBHOOK:
            # What stands behind the host may be a secret of the receiver's.
            return self.url.split("/")[2] if self.url.count("/") > 1 else self.url
        more = f" (+{len(self.recipients) - 1})" if len(self.recipients) > 1 else ""
        return f"{self.recipients[0]}{more}" if self.recipients else "-"

    def save(self, **kwargs: Any) -> None:
        if not self._state.adding and kwargs.get("update_fields") is None:
            kwargs["update_fields"] = self.CONFIGURED
        super().save(**kwargs)

    @property
    def recipients(self) -> list[str]:
        return self.addresses.split()

    def wants(self, event: str) -> bool:
        return event in self.events


class PendingEventQuerySet(OrgScopedQuerySet["PendingEvent"]):
    org_lookup = "subscription__org"


class PendingEvent(models.Model):
    """A change that a subscription was not notified of yet; written in the transaction that made the change."""

    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="pending_events")
    event = models.CharField(max_length=20, choices=Event.choices)
    connection = models.ForeignKey(ERPConnection, on_delete=models.CASCADE, related_name="+")
    export = models.ForeignKey(ERPExport, on_delete=models.CASCADE, null=True, related_name="+")
    at = models.DateTimeField(default=timezone.now)

    objects = PendingEventQuerySet.as_manager()

    class Meta:
        app_label = "notify"
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(event__in=Event.values), name="pending_event_event_is_known")
        ]
        indexes: ClassVar = [
            models.Index(fields=["subscription", "event", "at"], name="pending_event_by_event")
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.at:%Y-%m-%d %H:%M:%S}"
