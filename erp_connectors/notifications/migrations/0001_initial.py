import uuid

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import erp_connectors.fields
import orderflow.tenancy.same_org


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("erp_connectors", "0001_initial"),
        ("tenancy", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Subscription",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                (
                    "channel",
                    models.CharField(
                        choices=[("EMAIL", "E-mail"), ("WEBHOOK", "Webhook")], default="EMAIL", max_length=10
                    ),
                ),
                ("addresses", models.CharField(blank=True, default="", max_length=2700)),
                ("url", models.URLField(blank=True, default="", max_length=500)),
                ("secrets", erp_connectors.fields.EncryptedConfigField(default=dict, editable=False)),
                ("secret_set_at", models.DateTimeField(editable=False, null=True)),
                ("events", models.JSONField(default=list)),
                ("language", models.CharField(default="en", max_length=5)),
                ("active", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "reported_circuits",
                    models.JSONField(
                        default=list,
                        editable=False,
                        help_text="Connections that were reported as held, and not yet as working again.",
                    ),
                ),
                ("lease_token", models.CharField(blank=True, default="", editable=False, max_length=32)),
                ("lease_until", models.DateTimeField(editable=False, null=True)),
                ("retry_at", models.DateTimeField(editable=False, null=True)),
                ("failures_in_row", models.PositiveIntegerField(default=0, editable=False)),
                ("failing_since", models.DateTimeField(editable=False, null=True)),
                ("given_up_at", models.DateTimeField(editable=False, null=True)),
                ("last_success_at", models.DateTimeField(editable=False, null=True)),
                ("last_failure_at", models.DateTimeField(editable=False, null=True)),
                ("last_error", models.JSONField(editable=False, null=True)),
                (
                    "connection",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="erp_connectors.erpconnection",
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tenancy.org"
                    ),
                ),
            ],
            options={
                "verbose_name": "notification",
                "verbose_name_plural": "notifications",
                "indexes": [
                    models.Index(
                        condition=models.Q(("failing_since__isnull", False)),
                        fields=["org"],
                        name="subscription_failing",
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("channel__in", ["EMAIL", "WEBHOOK"])),
                        name="subscription_channel_is_known",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("channel", "WEBHOOK")),
                        fields=("connection", "url"),
                        name="webhook_once_per_connection",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("channel", "WEBHOOK"), ("connection", None)),
                        fields=("org", "url"),
                        name="webhook_once_for_all_connections",
                    ),
                    orderflow.tenancy.same_org.SameOrg(
                        field="connection", name="subscription_connection_of_same_org"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PendingEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "event",
                    models.CharField(
                        choices=[
                            ("export.failed", "An order could not be sent"),
                            ("export.refused", "The ERP refused an order"),
                            ("export.overdue", "The ERP's answer is overdue"),
                            ("circuit.opened", "A connection is held: nothing is sent"),
                            ("circuit.closed", "A held connection works again"),
                        ],
                        max_length=20,
                    ),
                ),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "connection",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="erp_connectors.erpconnection",
                    ),
                ),
                (
                    "export",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="erp_connectors.erpexport",
                    ),
                ),
                (
                    "subscription",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="pending_events",
                        to="notify.subscription",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["subscription", "event", "at"], name="pending_event_by_event")
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "event__in",
                                [
                                    "export.failed",
                                    "export.refused",
                                    "export.overdue",
                                    "circuit.opened",
                                    "circuit.closed",
                                ],
                            )
                        ),
                        name="pending_event_event_is_known",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Notification",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                (
                    "event",
                    models.CharField(
                        choices=[
                            ("export.failed", "An order could not be sent"),
                            ("export.refused", "The ERP refused an order"),
                            ("export.overdue", "The ERP's answer is overdue"),
                            ("circuit.opened", "A connection is held: nothing is sent"),
                            ("circuit.closed", "A held connection works again"),
                        ],
                        max_length=20,
                    ),
                ),
                ("content", models.JSONField()),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("attempts", models.PositiveIntegerField(default=0)),
                (
                    "reached",
                    models.JSONField(
                        default=list, help_text="Addresses that have it, where others do not yet."
                    ),
                ),
                ("sent_at", models.DateTimeField(null=True)),
                ("dropped_at", models.DateTimeField(null=True)),
                (
                    "subscription",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="notifications",
                        to="notify.subscription",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["subscription", "-created_at"], name="notification_by_age"),
                    models.Index(fields=["created_at"], name="notification_old"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("dropped_at", None), ("sent_at", None)),
                        fields=("subscription", "event"),
                        name="one_unsent_notification_per_event",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "event__in",
                                [
                                    "export.failed",
                                    "export.refused",
                                    "export.overdue",
                                    "circuit.opened",
                                    "circuit.closed",
                                ],
                            )
                        ),
                        name="notification_event_is_known",
                    ),
                ],
            },
        ),
    ]
