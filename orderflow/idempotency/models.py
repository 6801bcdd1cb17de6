"""Requests that carry an Idempotency-Key, and what was answered to them."""

from django.db import models
from django.utils import timezone


class KeyedRequest(models.Model):
    """``body`` null: it is being worked on, at the latest until ``until``."""

    scope = models.CharField(max_length=80, help_text="The org, or the user who belongs to none.")
    operation = models.CharField(max_length=200, help_text="Method and path.")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of the request's query and body.")
    token = models.CharField(max_length=32)
    until = models.DateTimeField()
    status = models.PositiveSmallIntegerField(null=True)
    body = models.TextField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["scope", "operation", "key"], name="one_request_per_idempotency_key"
            )
        ]
        indexes = [models.Index(fields=["created_at"], name="keyed_request_by_age")]

    def __str__(self) -> str:
        return f"{self.operation} {self.key}"
