"""Exports and their events. Only `services/exports/transitions.py` changes the status of an export."""

from collections.abc import Iterable
from datetime import datetime
from typing import Self
from uuid import uuid4

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from erp_connectors.models.bytes_field import BytesField
from erp_connectors.models.connection import ERPConnection
from erp_connectors.states import AckableState, ExportStatus, FailedAs
from orderflow.input_rules.fields import KeyField
from orderflow.message_field import MessageField
from orderflow.messages import Message
from orderflow.orders.models import DraftOrder
from orderflow.tenancy.models import Org, User
from orderflow.tenancy.querysets import OrgScopedQuerySet
from orderflow.tenancy.same_org import SameOrg

LIVE_STATUSES = (ExportStatus.PENDING, ExportStatus.SENT, ExportStatus.ACKED)


class ERPExportQuerySet(OrgScopedQuerySet["ERPExport"]):
    def overdue(self) -> Self:
        """Match exports that the sweep has marked as overdue."""
        return self.filter(status=ExportStatus.SENT, overdue_at__isnull=False)


class ERPExport(models.Model):
    """One file for one order to one connection; a retry is a new export.

    ``line_count``: number of the order's lines, counted in the claim of a delivery; not a column.
    """

    line_count: int = 0
    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    org = models.ForeignKey(Org, on_delete=models.PROTECT, related_name="exports")
    connection = models.ForeignKey(ERPConnection, on_delete=models.PROTECT, related_name="exports")
    draft_order = models.ForeignKey(DraftOrder, on_delete=models.PROTECT, related_name="exports")
    export_format_version = models.CharField(max_length=50)
    filename = models.CharField(max_length=255, unique=True)
    export_storage_key = models.CharField(max_length=400)
    sha256 = models.CharField(max_length=64, blank=True, default="")
    size = models.PositiveBigIntegerField(null=True)
    dropzone_path = models.CharField(max_length=1200, blank=True, default="")
    status = models.CharField(max_length=10, choices=ExportStatus.choices, default=ExportStatus.PENDING)
    failed_as = models.CharField(
        max_length=10, choices=FailedAs.choices, blank=True, default=FailedAs.NOT_FAILED
    )
    erp_order_id = KeyField(max_length=255, blank=True, default="")
    error_json = models.JSONField(null=True, blank=True)
    conflict_json = models.JSONField(null=True, blank=True)
    idempotency_key = models.CharField(max_length=255, blank=True, default="")
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="requested_exports"
    )
    request_id = models.CharField(
        max_length=64, blank=True, default="", editable=False, help_text="Of the request that pushed it."
    )
    trace = models.CharField(
        max_length=60,
        blank=True,
        default="",
        editable=False,
        help_text="That request's span, as W3C writes it.",
    )
    approved_at = models.DateTimeField()
    payload = BytesField(null=True, editable=False)
    attempts = models.PositiveIntegerField(
        default=0, help_text="How often a worker has taken it; each has a temporary file name of its own."
    )
    failed_tries = models.PositiveIntegerField(
        default=0,
        help_text="Attempts that failed for a transient fault; at DELIVERY_MAX_ATTEMPTS the export is FAILED.",
    )
    next_attempt_at = models.DateTimeField(null=True)
    staged_destination = models.CharField(max_length=700, blank=True, default="")
    staged_path = models.CharField(max_length=1200, blank=True, default="")
    staged_host_key = models.CharField(
        max_length=120,
        blank=True,
        default="",
        editable=False,
        help_text="Host key that the server presented when the file was written: type and SHA256 fingerprint.",
    )
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)
    archived_at = models.DateTimeField(null=True)
    staged_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    overdue_at = models.DateTimeField(
        null=True, editable=False, help_text="When the ERP's answer was found to be overdue."
    )
    # Retention: once the first is set, the bytes are not shown; once the second is, the archive has deleted them.
    payload_removed_at = models.DateTimeField(null=True, editable=False)
    copy_gone_at = models.DateTimeField(null=True, editable=False)
    events_removed_at = models.DateTimeField(null=True, editable=False)

    objects = ERPExportQuerySet.as_manager()

    class Meta:
        verbose_name = "export"
        constraints = [
            models.UniqueConstraint(
                fields=["draft_order"],
                condition=Q(status__in=LIVE_STATUSES),
                name="one_live_export_per_draft",
            ),
            models.CheckConstraint(
                condition=Q(status__in=ExportStatus.values), name="export_status_is_known"
            ),
            models.CheckConstraint(
                condition=Q(status=ExportStatus.FAILED) ^ Q(failed_as=FailedAs.NOT_FAILED),
                name="export_failed_as_says_why",
            ),
            models.UniqueConstraint(fields=["org", "id"], name="export_by_org_and_id"),
            SameOrg(field="connection", name="export_connection_of_same_org"),
            SameOrg(field="draft_order", name="export_order_of_same_org"),
        ]
        indexes = [
            models.Index(
                fields=["connection", "created_at"], name="export_queue", condition=Q(status="PENDING")
            ),
            models.Index(fields=["org", "-created_at"], name="export_by_org"),
            models.Index(fields=["org", "status", "-created_at"], name="export_by_status"),
            models.Index(fields=["draft_order", "-created_at"], name="export_by_draft"),
            models.Index(fields=["created_at"], name="export_unarchived", condition=Q(payload__isnull=False)),
            # Few exports wait for an answer, so the index is small.
            models.Index(
                fields=["connection", "sent_at"], name="export_unanswered", condition=Q(status="SENT")
            ),
            models.Index(
                fields=["org", "-created_at"],
                name="export_overdue",
                condition=Q(status="SENT", overdue_at__isnull=False),
            ),
            # A handful among all there are: without it every look at the front page reads the whole table.
            models.Index(
                fields=["org", "-created_at"],
                name="export_conflict",
                condition=Q(conflict_json__isnull=False),
            ),
            models.Index(
                fields=["org", "created_at"],
                name="export_half_removed",
                condition=Q(payload_removed_at__isnull=False, copy_gone_at=None),
            ),
        ]

    def __str__(self) -> str:
        return self.filename

    @property
    def is_overdue(self) -> bool:
        return self.status == ExportStatus.SENT and self.overdue_at is not None

    @property
    def is_answered(self) -> bool:
        """Return True if an answer of the ERP counts, from an ack file or recorded by a user."""
        return self.status == ExportStatus.ACKED or self.failed_as == FailedAs.REFUSED

    @property
    def ackable_state(self) -> AckableState:
        """Return the state that decides about an arriving answer."""
        if self.status == ExportStatus.PENDING:
            return AckableState.STAGED if self.staged_at else AckableState.NOT_STAGED
        if self.status == ExportStatus.FAILED:
            return AckableState.REFUSED if self.failed_as == FailedAs.REFUSED else AckableState.UNSENT
        return AckableState.SENT if self.status == ExportStatus.SENT else AckableState.ACKED


class ERPExportEventQuerySet(OrgScopedQuerySet["ERPExportEvent"]):
    org_lookup = "export__org"


class ERPExportEvent(models.Model):
    """One line of an export's timeline; rows are only ever added.

    ``actor``: the user who caused it, None for the system. ``message``: details, None if ``what`` says it all.
    """

    export = models.ForeignKey(ERPExport, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(default=timezone.now)
    stage = models.CharField(max_length=20)
    attempt = models.PositiveIntegerField(default=0)
    what = models.CharField(max_length=50)
    # No query asks for it.
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    message = MessageField(null=True)

    objects = ERPExportEventQuerySet.as_manager()

    class Meta:
        verbose_name = "export event"
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.what}"


def add_events(
    exports: Iterable[ERPExport],
    *,
    stage: str,
    what: str,
    at: datetime,
    message: Message | None = None,
    actor: User | None = None,
) -> None:
    """One INSERT for the same event of many exports."""
    ERPExportEvent.objects.bulk_create(
        ERPExportEvent(
            export=export,
            at=at,
            stage=stage,
            attempt=export.attempts,
            what=what,
            actor=actor,
            message=message,
        )
        for export in exports
    )
