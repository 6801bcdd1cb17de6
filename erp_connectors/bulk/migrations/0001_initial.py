import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import orderflow.message_field


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("orders", "0001_initial"),
        ("tenancy", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="BulkRun",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                (
                    "action",
                    models.CharField(
                        choices=[
                            ("READY", "Mark as ready"),
                            ("APPROVE", "Approve"),
                            ("PUSH", "Push to the ERP"),
                            ("RETRY", "Retry"),
                            ("REJECT", "Reject"),
                        ],
                        editable=False,
                        max_length=10,
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("confirmed_at", models.DateTimeField(editable=False, null=True)),
                ("worked_at", models.DateTimeField(editable=False, null=True)),
                ("finished_at", models.DateTimeField(editable=False, null=True)),
                ("asked_from", models.JSONField(default=dict, editable=False)),
                (
                    "made_by",
                    models.ForeignKey(
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenancy.org",
                    ),
                ),
            ],
            options={
                "verbose_name": "bulk run",
                "verbose_name_plural": "bulk runs",
                "indexes": [
                    models.Index(fields=["org", "-created_at"], name="bulk_run_by_org"),
                    models.Index(
                        condition=models.Q(("confirmed_at__isnull", False), ("finished_at", None)),
                        fields=["confirmed_at"],
                        name="bulk_run_unfinished",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("action__in", ["READY", "APPROVE", "PUSH", "RETRY", "REJECT"])),
                        name="bulk_action_is_known",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="BulkRow",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("position", models.PositiveIntegerField()),
                (
                    "outcome",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "Open"),
                            ("DONE", "Done"),
                            ("SAME", "Nothing to do"),
                            ("REFUSED", "Not done"),
                        ],
                        default="",
                        max_length=10,
                    ),
                ),
                ("why", orderflow.message_field.MessageField(null=True)),
                (
                    "draft_order",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="orders.draftorder"
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="rows", to="bulk.bulkrun"
                    ),
                ),
            ],
            options={
                "ordering": ["position"],
                "indexes": [models.Index(fields=["run", "outcome", "position"], name="bulk_row_by_outcome")],
                "constraints": [
                    models.UniqueConstraint(fields=("run", "draft_order"), name="order_once_in_a_bulk_run"),
                    models.CheckConstraint(
                        condition=models.Q(("outcome__in", ["", "DONE", "SAME", "REFUSED"])),
                        name="bulk_outcome_is_known",
                    ),
                ],
            },
        ),
    ]
