import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import erp_connectors.fields
import orderflow.message_field
import orderflow.tenancy.same_org


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("orders", "0001_initial"),
        ("tenancy", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="MetricCount",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=20)),
                ("label", models.CharField(max_length=40)),
                ("count", models.BigIntegerField()),
                ("seconds", models.FloatField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="ERPConnection",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("connector_type", models.CharField(max_length=50)),
                ("config", erp_connectors.fields.EncryptedConfigField()),
                (
                    "status",
                    models.CharField(
                        choices=[("ACTIVE", "Active"), ("DISABLED", "Disabled")],
                        default="ACTIVE",
                        max_length=10,
                    ),
                ),
                ("last_test_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("last_test_success", models.BooleanField(editable=False, null=True)),
                ("test_report", models.JSONField(editable=False, null=True)),
                ("secrets_set_at", models.JSONField(default=dict, editable=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "delivery_lease_token",
                    models.CharField(blank=True, default="", editable=False, max_length=32),
                ),
                ("delivery_lease_until", models.DateTimeField(editable=False, null=True)),
                ("poll_lease_token", models.CharField(blank=True, default="", editable=False, max_length=32)),
                ("poll_lease_until", models.DateTimeField(editable=False, null=True)),
                ("circuit_opened_at", models.DateTimeField(editable=False, null=True)),
                ("circuit_reason", models.JSONField(editable=False, null=True)),
                ("retry_at", models.DateTimeField(editable=False, null=True)),
                ("failures_in_row", models.PositiveIntegerField(default=0, editable=False)),
                ("last_success_at", models.DateTimeField(editable=False, null=True)),
                ("last_poll_at", models.DateTimeField(editable=False, null=True)),
                ("poll_error", models.JSONField(editable=False, null=True)),
                ("poll_retry_at", models.DateTimeField(editable=False, null=True)),
                ("poll_failures_in_row", models.PositiveIntegerField(default=0, editable=False)),
                (
                    "misnamed_answers",
                    models.JSONField(
                        default=dict,
                        editable=False,
                        help_text="Files that the last poll saw in the ack folder and that are probably answers with a wrong name.",
                    ),
                ),
                ("server_limits", models.JSONField(default=dict, editable=False)),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="connections",
                        to="tenancy.org",
                    ),
                ),
            ],
            options={
                "verbose_name": "connection",
                "indexes": [models.Index(fields=["status", "last_poll_at"], name="connection_due_poll")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("status", "ACTIVE")),
                        fields=("org", "connector_type"),
                        name="one_active_connection_per_org_and_type",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["ACTIVE", "DISABLED"])),
                        name="connection_status_is_known",
                    ),
                    models.UniqueConstraint(fields=("org", "id"), name="connection_by_org_and_id"),
                ],
            },
        ),
        migrations.CreateModel(
            name="ERPExport",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("export_format_version", models.CharField(max_length=50)),
                ("filename", models.CharField(max_length=255, unique=True)),
                ("export_storage_key", models.CharField(max_length=400)),
                ("sha256", models.CharField(blank=True, default="", max_length=64)),
                ("size", models.PositiveBigIntegerField(null=True)),
                ("dropzone_path", models.CharField(blank=True, default="", max_length=1200)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("PENDING", "Pending"),
                            ("SENT", "Sent"),
                            ("ACKED", "Acked"),
                            ("FAILED", "Failed"),
                        ],
                        default="PENDING",
                        max_length=10,
                    ),
                ),
                (
                    "failed_as",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "-"),
                            ("NOT_SENT", "Not sent"),
                            ("UNKNOWN", "Outcome unknown"),
                            ("REFUSED", "Refused by the ERP"),
                        ],
                        default="",
                        max_length=10,
                    ),
                ),
                ("erp_order_id", models.CharField(blank=True, default="", max_length=255)),
                ("error_json", models.JSONField(blank=True, null=True)),
                ("conflict_json", models.JSONField(blank=True, null=True)),
                ("idempotency_key", models.CharField(blank=True, default="", max_length=255)),
                (
                    "request_id",
                    models.CharField(
                        blank=True,
                        default="",
                        editable=False,
                        help_text="Of the request that pushed it.",
                        max_length=64,
                    ),
                ),
                (
                    "trace",
                    models.CharField(
                        blank=True,
                        default="",
                        editable=False,
                        help_text="That request's span, as W3C writes it.",
                        max_length=60,
                    ),
                ),
                ("approved_at", models.DateTimeField()),
                ("payload", models.BinaryField(null=True)),
                (
                    "attempts",
                    models.PositiveIntegerField(
                        default=0,
                        help_text="How often a worker has taken it; each has a temporary file name of its own.",
                    ),
                ),
                (
                    "failed_tries",
                    models.PositiveIntegerField(
                        default=0,
                        help_text="Attempts that failed for a transient fault; at DELIVERY_MAX_ATTEMPTS the export is FAILED.",
                    ),
                ),
                ("next_attempt_at", models.DateTimeField(null=True)),
                ("staged_destination", models.CharField(blank=True, default="", max_length=700)),
                ("staged_path", models.CharField(blank=True, default="", max_length=1200)),
                (
                    "staged_host_key",
                    models.CharField(
                        blank=True,
                        default="",
                        editable=False,
                        help_text="Host key that the server presented when the file was written: type and SHA256 fingerprint.",
                        max_length=120,
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("archived_at", models.DateTimeField(null=True)),
                ("staged_at", models.DateTimeField(null=True)),
                ("sent_at", models.DateTimeField(null=True)),
                ("answered_at", models.DateTimeField(null=True)),
                (
                    "overdue_at",
                    models.DateTimeField(
                        editable=False, help_text="When the ERP's answer was found to be overdue.", null=True
                    ),
                ),
                ("payload_removed_at", models.DateTimeField(editable=False, null=True)),
                ("copy_gone_at", models.DateTimeField(editable=False, null=True)),
                ("events_removed_at", models.DateTimeField(editable=False, null=True)),
                (
                    "connection",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="exports",
                        to="erp_connectors.erpconnection",
                    ),
                ),
                (
                    "draft_order",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="exports",
                        to="orders.draftorder",
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="exports", to="tenancy.org"
                    ),
                ),
                (
                    "requested_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="requested_exports",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "export",
                "indexes": [
                    models.Index(
                        condition=models.Q(("status", "PENDING")),
                        fields=["connection", "created_at"],
                        name="export_queue",
                    ),
                    models.Index(fields=["org", "-created_at"], name="export_by_org"),
                    models.Index(fields=["org", "status", "-created_at"], name="export_by_status"),
                    models.Index(fields=["draft_order", "-created_at"], name="export_by_draft"),
                    models.Index(
                        condition=models.Q(("payload__isnull", False)),
                        fields=["created_at"],
                        name="export_unarchived",
                    ),
                    models.Index(
                        condition=models.Q(("status", "SENT")),
                        fields=["connection", "sent_at"],
                        name="export_unanswered",
                    ),
                    models.Index(
                        condition=models.Q(("overdue_at__isnull", False), ("status", "SENT")),
                        fields=["org", "-created_at"],
                        name="export_overdue",
                    ),
                    models.Index(
                        condition=models.Q(("conflict_json__isnull", False)),
                        fields=["org", "-created_at"],
                        name="export_conflict",
                    ),
                    models.Index(
                        condition=models.Q(("copy_gone_at", None), ("payload_removed_at__isnull", False)),
                        fields=["org", "created_at"],
                        name="export_half_removed",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("status__in", ("PENDING", "SENT", "ACKED"))),
                        fields=("draft_order",),
                        name="one_live_export_per_draft",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["PENDING", "SENT", "ACKED", "FAILED"])),
                        name="export_status_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("status", "FAILED"), ("failed_as", ""), _connector="XOR"),
                        name="export_failed_as_says_why",
                    ),
                    models.UniqueConstraint(fields=("org", "id"), name="export_by_org_and_id"),
                    orderflow.tenancy.same_org.SameOrg(
                        field="connection", name="export_connection_of_same_org"
                    ),
                    orderflow.tenancy.same_org.SameOrg(field="draft_order", name="export_order_of_same_org"),
                ],
            },
        ),
        migrations.CreateModel(
            name="AckFile",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=255)),
                (
                    "part",
                    models.PositiveIntegerField(
                        default=0, editable=False, help_text="Position of the answer in its file, from 0."
                    ),
                ),
                ("size", models.BigIntegerField(default=-1)),
                (
                    "mtime",
                    models.BigIntegerField(
                        default=-1,
                        help_text="By the server's clock. Compare it only with other times of the same server.",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("WAITING", "Waiting"),
                            ("APPLIED", "Applied"),
                            ("REPEATED", "Repeated"),
                            ("CONFLICT", "Conflict"),
                            ("UNMATCHED", "Matches no export"),
                            ("MALFORMED", "Malformed"),
                        ],
                        default="WAITING",
                        max_length=10,
                    ),
                ),
                ("reason", orderflow.message_field.MessageField(null=True)),
                ("body", models.BinaryField(null=True)),
                ("first_seen_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "unchanged_since",
                    models.DateTimeField(
                        editable=False,
                        help_text="For an unreadable file: it has not changed since we read it.",
                        null=True,
                    ),
                ),
                ("decided_at", models.DateTimeField(null=True)),
                ("moved_at", models.DateTimeField(null=True)),
                ("moved_to", models.CharField(blank=True, default="", max_length=1200)),
                ("move_failures", models.PositiveIntegerField(default=0, editable=False)),
                (
                    "move_retry_at",
                    models.DateTimeField(
                        editable=False,
                        help_text="It is handled and could not be moved: when that is tried again.",
                        null=True,
                    ),
                ),
                (
                    "dismissed_at",
                    models.DateTimeField(
                        editable=False,
                        help_text="When a user dismissed the alert about this file.",
                        null=True,
                    ),
                ),
                ("body_removed_at", models.DateTimeField(editable=False, null=True)),
                ("body_sha256", models.CharField(blank=True, default="", editable=False, max_length=64)),
                (
                    "answer_json",
                    models.JSONField(
                        editable=False,
                        help_text="What it said when it was decided; null if it was not understood.",
                        null=True,
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="ack_files",
                        to="tenancy.org",
                    ),
                ),
                (
                    "connection",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="ack_files",
                        to="erp_connectors.erpconnection",
                    ),
                ),
                (
                    "export",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="ack_files",
                        to="erp_connectors.erpexport",
                    ),
                ),
            ],
            options={
                "verbose_name": "ack file",
                "indexes": [
                    models.Index(fields=["org", "status", "-first_seen_at"], name="ack_file_by_status"),
                    models.Index(fields=["org", "-first_seen_at"], name="ack_file_by_org"),
                    models.Index(
                        condition=models.Q(("body__isnull", False)),
                        fields=["org", "first_seen_at"],
                        name="ack_file_with_text",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("moved_at", None)),
                        fields=("connection", "name", "part"),
                        name="one_present_ack_file_per_name",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "status__in",
                                ["WAITING", "APPLIED", "REPEATED", "CONFLICT", "UNMATCHED", "MALFORMED"],
                            )
                        ),
                        name="ack_file_status_is_known",
                    ),
                    orderflow.tenancy.same_org.SameOrg(
                        field="connection", name="ack_file_connection_of_same_org"
                    ),
                    orderflow.tenancy.same_org.SameOrg(field="export", name="ack_file_export_of_same_org"),
                ],
            },
        ),
        migrations.CreateModel(
            name="ERPExportEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
                ("stage", models.CharField(max_length=20)),
                ("attempt", models.PositiveIntegerField(default=0)),
                ("what", models.CharField(max_length=50)),
                ("message", orderflow.message_field.MessageField(null=True)),
                (
                    "actor",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "export",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="events",
                        to="erp_connectors.erpexport",
                    ),
                ),
            ],
            options={
                "verbose_name": "export event",
                "ordering": ["id"],
            },
        ),
    ]
