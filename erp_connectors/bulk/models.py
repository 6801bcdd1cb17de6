"""A bulk run and its rows. A row's outcome is written in the transaction that did what it says."""

from typing import ClassVar
from uuid import uuid4

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from orderflow.message_field import MessageField
from orderflow.orders.models import DraftOrder
from orderflow.tenancy.models import Org
from orderflow.tenancy.querysets import OrgScopedQuerySet


class BulkAction(models.TextChoices):
    READY = "READY", _("Mark as ready")
    APPROVE = "APPROVE", _("Approve")
    PUSH = "PUSH", _("Push to the ERP")
    RETRY = "RETRY", _("Retry")
    REJECT = "REJECT", _("Reject")


class Outcome(models.TextChoices):
    """Result of a row. SAME: the order had the wanted status before, and nothing was done."""

    OPEN = "", _("Open")
    DONE = "DONE", _("Done")
    SAME = "SAME", _("Nothing to do")
    REFUSED = "REFUSED", _("Not done")


class BulkRun(models.Model):
    """``org`` is that of who asked for it, none for platform staff; it is carried out in that person's name."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    org = models.ForeignKey(Org, on_delete=models.PROTECT, null=True, related_name="+", editable=False)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", editable=False
    )
    action = models.CharField(max_length=10, choices=BulkAction.choices, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    confirmed_at = models.DateTimeField(null=True, editable=False)
    worked_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)
    asked_from = models.JSONField(default=dict, editable=False)

    objects = OrgScopedQuerySet["BulkRun"].as_manager()

    class Meta:
        verbose_name = _("bulk run")
        verbose_name_plural = _("bulk runs")
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(action__in=BulkAction.values), name="bulk_action_is_known")
        ]
        indexes: ClassVar = [
            models.Index(fields=["org", "-created_at"], name="bulk_run_by_org"),
            models.Index(
                fields=["confirmed_at"],
                name="bulk_run_unfinished",
                condition=Q(confirmed_at__isnull=False, finished_at=None),
            ),
        ]

    def __str__(self) -> str:
        return str(BulkAction(self.action).label)


class BulkRowQuerySet(OrgScopedQuerySet["BulkRow"]):
    org_lookup = "run__org"


class BulkRow(models.Model):
    run = models.ForeignKey(BulkRun, on_delete=models.CASCADE, related_name="rows")
    position = models.PositiveIntegerField()
    draft_order = models.ForeignKey(DraftOrder, on_delete=models.CASCADE, related_name="+")
    outcome = models.CharField(max_length=10, choices=Outcome.choices, blank=True, default=Outcome.OPEN)
    why = MessageField(null=True)

    objects = BulkRowQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["position"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "draft_order"], name="order_once_in_a_bulk_run"),
            models.CheckConstraint(condition=Q(outcome__in=Outcome.values), name="bulk_outcome_is_known"),
        ]
        indexes: ClassVar = [models.Index(fields=["run", "outcome", "position"], name="bulk_row_by_outcome")]

    def __str__(self) -> str:
        return f"{self.position}"
