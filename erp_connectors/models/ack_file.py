from typing import Self

from django.db import models
from django.db.models import Q
from django.utils import timezone

from erp_connectors.models.bytes_field import BytesField
from erp_connectors.models.connection import ERPConnection
from erp_connectors.models.export import ERPExport
from erp_connectors.states import AckFileStatus
from orderflow.message_field import MessageField
from orderflow.tenancy.models import Org
from orderflow.tenancy.querysets import OrgScopedQuerySet
from orderflow.tenancy.same_org import SameOrg


class AckFileQuerySet(OrgScopedQuerySet["AckFile"]):
    def present(self) -> Self:
        """Match the files that are still in the ack folder, as far as polls know."""
        return self.filter(moved_at=None)


class AckFile(models.Model):
    """An answer in a file seen in an ack folder, waiting or decided. A file of several answers has a row for each.

    The rows of a file have the same name and are moved together; ``body`` is in the first one that is kept.
    """

    org = models.ForeignKey(Org, on_delete=models.PROTECT, related_name="ack_files")
    connection = models.ForeignKey(ERPConnection, on_delete=models.PROTECT, related_name="ack_files")
    export = models.ForeignKey(ERPExport, on_delete=models.PROTECT, null=True, related_name="ack_files")
    name = models.CharField(max_length=255)
    part = models.PositiveIntegerField(
        default=0, editable=False, help_text="Position of the answer in its file, from 0."
    )
    size = models.BigIntegerField(default=-1)
    mtime = models.BigIntegerField(
        default=-1, help_text="By the server's clock. Compare it only with other times of the same server."
    )
    status = models.CharField(max_length=10, choices=AckFileStatus.choices, default=AckFileStatus.WAITING)
    reason = MessageField(null=True)
    body = BytesField(null=True, editable=False)
    first_seen_at = models.DateTimeField(default=timezone.now)
    unchanged_since = models.DateTimeField(
        null=True,
        editable=False,
        help_text="For an unreadable file: it has not changed since we read it.",
    )
    decided_at = models.DateTimeField(null=True)
    moved_at = models.DateTimeField(null=True)
    moved_to = models.CharField(max_length=1200, blank=True, default="")
    move_failures = models.PositiveIntegerField(default=0, editable=False)
    move_retry_at = models.DateTimeField(
        null=True, editable=False, help_text="It is handled and could not be moved: when that is tried again."
    )
    dismissed_at = models.DateTimeField(
        null=True, editable=False, help_text="When a user dismissed the alert about this file."
    )
    body_removed_at = models.DateTimeField(null=True, editable=False)
    # Set if retention has removed the body, or if it is in another row.
    body_sha256 = models.CharField(max_length=64, blank=True, default="", editable=False)
    answer_json = models.JSONField(
        null=True,
        editable=False,
        help_text="What it said when it was decided; null if it was not understood.",
    )

    objects = AckFileQuerySet.as_manager()

    class Meta:
        verbose_name = "ack file"
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "name", "part"],
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
        """Return True if it is decided, but could not be moved out of the ack folder."""
        return self.move_retry_at is not None and self.moved_at is None
