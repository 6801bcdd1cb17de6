"""Connections, exports, their events, and the ledger of ack files.

Only `services/exports/transitions.py` changes the status of an export.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar, Self
from uuid import uuid4

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from erp_connectors.fields import EncryptedConfigField
from erp_connectors.states import (
    AckFileStatus,
    ConnectionStatus,
    ExportStatus,
    FailedAs,
    Standing,
)
from orderflow.input_rules.fields import KeyField
from orderflow.orders.models import DraftOrder
from orderflow.tenancy.models import Org
from orderflow.tenancy.querysets import OrgScopedQuerySet
from orderflow.tenancy.same_org import SameOrg

LIVE_STATUSES = (ExportStatus.PENDING, ExportStatus.SENT, ExportStatus.ACKED)


class ERPConnection(models.Model):
    """One org's way to its ERP.

    The columns from ``delivery_lease_token`` on belong to the workers, which write them by conditional updates;
    `save` leaves them alone, so that a form saved meanwhile can't undo a worker's claim.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    org = models.ForeignKey(Org, on_delete=models.PROTECT, related_name="connections")
    connector_type = models.CharField(max_length=50)
    config = EncryptedConfigField()
    status = models.CharField(
        max_length=10, choices=ConnectionStatus.choices, default=ConnectionStatus.ACTIVE
    )
    last_test_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_test_success = models.BooleanField(null=True, editable=False)
    test_report = models.JSONField(null=True, editable=False)
    secrets_set_at = models.JSONField(default=dict, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    delivery_lease_token = models.CharField(max_length=32, blank=True, default="", editable=False)
    delivery_lease_until = models.DateTimeField(null=True, editable=False)
    poll_lease_token = models.CharField(max_length=32, blank=True, default="", editable=False)
    poll_lease_until = models.DateTimeField(null=True, editable=False)
    circuit_opened_at = models.DateTimeField(null=True, editable=False)
    circuit_reason = models.JSONField(null=True, editable=False)
    retry_at = models.DateTimeField(null=True, editable=False)
    failures_in_row = models.PositiveIntegerField(default=0, editable=False)
    last_success_at = models.DateTimeField(null=True, editable=False)
    last_poll_at = models.DateTimeField(null=True, editable=False)
    poll_trouble = models.JSONField(null=True, editable=False)
    poll_retry_at = models.DateTimeField(null=True, editable=False)
    poll_failures_in_row = models.PositiveIntegerField(default=0, editable=False)
    misnamed_answers = models.JSONField(
        default=dict,
        editable=False,
        help_text="Files that the last poll saw in the ack folder and that are probably answers with a wrong name.",
    )
    server_limits = models.JSONField(default=dict, editable=False)

    KIND: ClassVar[str] = "Connection"
    CONFIGURED: ClassVar[tuple[str, ...]] = (
        "connector_type", "config", "secrets_set_at", "status", "updated_at",
    )  # fmt: skip

    objects = OrgScopedQuerySet["ERPConnection"].as_manager()

    class Meta:
        verbose_name = "connection"
        constraints = [
            models.UniqueConstraint(
                fields=["org", "connector_type"],
                condition=Q(status=ConnectionStatus.ACTIVE),
                name="one_active_connection_per_org_and_type",
            ),
            models.CheckConstraint(
                condition=Q(status__in=ConnectionStatus.values), name="connection_status_is_known"
            ),
            models.UniqueConstraint(fields=["org", "id"], name="connection_by_org_and_id"),
        ]
        indexes = [models.Index(fields=["status", "last_poll_at"], name="connection_due_poll")]

    def __str__(self) -> str:
        return f"{self.connector_type} {str(self.id)[:8]}"

    def save(self, **kwargs: Any) -> None:
        if not self._state.adding and kwargs.get("update_fields") is None:
            kwargs["update_fields"] = self.CONFIGURED
        super().save(**kwargs)

    @property
    def circuit_open(self) -> bool:
        return self.circuit_opened_at is not None


class ERPExportQuerySet(OrgScopedQuerySet["ERPExport"]):
    def overdue(self) -> Self:
        """Sent, and not answered in time, as the sweep noticed."""
        return self.filter(status=ExportStatus.SENT, overdue_at__isnull=False)


class ERPExport(models.Model):
    """One attempt to hand one draft order to the ERP; a retry is a new export.

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
    payload = models.BinaryField(null=True, editable=False)
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
        help_text="By which the server proved itself when the file was written: type and SHA256 fingerprint.",
    )
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)
    archived_at = models.DateTimeField(null=True)
    staged_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    overdue_at = models.DateTimeField(
        null=True, editable=False, help_text="When it was noticed that the ERP's answer is late."
    )
    # Retention: from the first on nobody is shown the bytes; the second says that the archive has them no more.
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
            # Those that wait for an answer are few beside those that have one.
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
        """True if an answer of the ERP, or a person's record of one, counts."""
        return self.status == ExportStatus.ACKED or self.failed_as == FailedAs.REFUSED

    @property
    def standing(self) -> Standing:
        """What this row means to an arriving answer."""
        if self.status == ExportStatus.PENDING:
            return Standing.STAGED if self.staged_at else Standing.NOT_STAGED
        if self.status == ExportStatus.FAILED:
            return Standing.REFUSED if self.failed_as == FailedAs.REFUSED else Standing.UNSENT
        return Standing.SENT if self.status == ExportStatus.SENT else Standing.ACKED


class ERPExportEventQuerySet(OrgScopedQuerySet["ERPExportEvent"]):
    org_lookup = "export__org"


class ERPExportEvent(models.Model):
    """One line of an export's timeline; rows are only ever added."""

    export = models.ForeignKey(ERPExport, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(default=timezone.now)
    stage = models.CharField(max_length=20)
    attempt = models.PositiveIntegerField(default=0)
    what = models.CharField(max_length=50)
    detail = models.TextField(blank=True, default="")

    objects = ERPExportEventQuerySet.as_manager()

    class Meta:
        verbose_name = "export event"
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.what}"


class AckFileQuerySet(OrgScopedQuerySet["AckFile"]):
    def present(self) -> Self:
        """Those that are still in the ack folder, as far as we know."""
        return self.filter(moved_at=None)


class AckFile(models.Model):
    """A file seen in an ack folder: waiting, or what became of it."""

    org = models.ForeignKey(Org, on_delete=models.PROTECT, related_name="ack_files")
    connection = models.ForeignKey(ERPConnection, on_delete=models.PROTECT, related_name="ack_files")
    export = models.ForeignKey(ERPExport, on_delete=models.PROTECT, null=True, related_name="ack_files")
    name = models.CharField(max_length=255)
    size = models.BigIntegerField(default=-1)
    mtime = models.BigIntegerField(
        default=-1, help_text="As the server's own clock says; comparable only with itself."
    )
    status = models.CharField(max_length=10, choices=AckFileStatus.choices, default=AckFileStatus.WAITING)
    reason = models.TextField(blank=True, default="")
    body = models.BinaryField(null=True, editable=False)
    first_seen_at = models.DateTimeField(default=timezone.now)
    unchanged_since = models.DateTimeField(
        null=True,
        editable=False,
        help_text="Of one that can't be understood: what we saw then is there still.",
    )
    decided_at = models.DateTimeField(null=True)
    moved_at = models.DateTimeField(null=True)
    moved_to = models.CharField(max_length=1200, blank=True, default="")
    move_failures = models.PositiveIntegerField(default=0, editable=False)
    move_retry_at = models.DateTimeField(
        null=True, editable=False, help_text="It is handled and could not be moved: when that is tried again."
    )
    handled_at = models.DateTimeField(
        null=True, editable=False, help_text="When a person said that nothing more is to be done about it."
    )
    body_removed_at = models.DateTimeField(null=True, editable=False)
    # What retention leaves of a body that it removed.
    body_sha256 = models.CharField(max_length=64, blank=True, default="", editable=False)
    answer_json = models.JSONField(null=True, editable=False)

    objects = AckFileQuerySet.as_manager()

    class Meta:
        verbose_name = "ack file"
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "name"],
                condition=Q(moved_at=None),
                name="one_present_ack_file_per_name",
            ),
            models.CheckConstraint(
                condition=Q(status__in=AckFileStatus.values), name="ack_file_status_is_known"
            ),
            SameOrg(field="connection", name="ack_file_connection_of_same_org"),
            SameOrg(field="export", name="ack_file_export_of_same_org"),
        ]
        indexes = [
            models.Index(fields=["org", "status", "-first_seen_at"], name="ack_file_by_status"),
            models.Index(fields=["org", "-first_seen_at"], name="ack_file_by_org"),
            models.Index(
                fields=["org", "first_seen_at"], name="ack_file_with_text", condition=Q(body__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def stays(self) -> bool:
        """Whether it is handled and lies in the ack folder all the same, because it could not be moved."""
        return self.move_retry_at is not None and self.moved_at is None


def add_events(
    exports: Iterable[ERPExport], *, stage: str, what: str, detail: str = "", at: datetime
) -> None:
    """One INSERT for the same event of many exports."""
    ERPExportEvent.objects.bulk_create(
        ERPExportEvent(export=export, at=at, stage=stage, attempt=export.attempts, what=what, detail=detail)
        for export in exports
    )
