"""Notifications, made of pending events. Rows are the truth."""

from typing import ClassVar
from uuid import uuid4

from django.db import models
from django.db.models import Q
from django.utils import timezone

from erp_connectors.outbox.events import Event
from erp_connectors.outbox.models import Subscription
from orderflow.tenancy.querysets import OrgScopedQuerySet


class NotificationQuerySet(OrgScopedQuerySet["Notification"]):
    org_lookup = "subscription__org"

    def unsent(self) -> "NotificationQuerySet":
        return self.filter(sent_at=None, dropped_at=None)


class Notification(models.Model):
    """One notification to one subscription. A receiver recognises a repetition by its id."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="notifications")
    event = models.CharField(max_length=20, choices=Event.choices)
    content = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveIntegerField(default=0)
    reached = models.JSONField(default=list, help_text="Addresses that have it, where others do not yet.")
    sent_at = models.DateTimeField(null=True)
    dropped_at = models.DateTimeField(null=True)

    objects = NotificationQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["subscription", "event"],
                condition=Q(sent_at=None, dropped_at=None),
                name="one_unsent_notification_per_event",
            ),
            models.CheckConstraint(condition=Q(event__in=Event.values), name="notification_event_is_known"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["subscription", "-created_at"], name="notification_by_age"),
            models.Index(fields=["created_at"], name="notification_old"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.id}"
