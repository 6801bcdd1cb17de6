"""A run of retention, and what it removed of each org, counted in the transactions that removed it."""

from typing import ClassVar
from uuid import uuid4

from django.db import models
from django.db.models import Q
from django.utils import timezone

from orderflow.tenancy.models import Org
from orderflow.tenancy.querysets import OrgScopedQuerySet


class RetentionRun(models.Model):
    """``day``: of the daily one, so that there is one; none where a person asked. ``org``: of that org only."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    day = models.DateField(null=True, unique=True)
    org = models.ForeignKey(Org, on_delete=models.PROTECT, null=True, related_name="+")
    older_than = models.PositiveIntegerField(null=True, help_text="Days, in place of the settings.")
    began_at = models.DateTimeField(default=timezone.now)
    asked_at = models.DateTimeField(null=True, help_text="When a worker was last asked to go on with it.")
    lease_token = models.CharField(max_length=32, blank=True, default="", editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True, default="")

    objects = OrgScopedQuerySet["RetentionRun"].as_manager()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["began_at"], name="retention_unfinished", condition=Q(finished_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.day or 'by hand'} {self.began_at:%Y-%m-%d %H:%M}"


class RetentionShare(models.Model):
    """Finished once, with the audit entry that tells of it."""

    run = models.ForeignKey(RetentionRun, on_delete=models.CASCADE, related_name="shares")
    org = models.ForeignKey(Org, on_delete=models.PROTECT, related_name="+")
    files = models.PositiveIntegerField(default=0)
    answers = models.PositiveIntegerField(default=0)
    events = models.PositiveIntegerField(default=0)
    finished_at = models.DateTimeField(null=True)

    objects = OrgScopedQuerySet["RetentionShare"].as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "org"], name="one_share_per_retention_run_and_org"),
        ]

    def __str__(self) -> str:
        return f"{self.org}: {self.files} files, {self.answers} answers, {self.events} timelines"
