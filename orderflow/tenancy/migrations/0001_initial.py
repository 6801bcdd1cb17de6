import uuid

import django.db.models.deletion
import django.db.models.functions.text
from django.db import migrations, models

import orderflow.tenancy.addresses


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Org",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("name", models.CharField(max_length=200)),
                ("slug", models.SlugField(max_length=60, unique=True)),
                ("settings", models.JSONField(blank=True, default=dict)),
            ],
            options={
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="User",
            fields=[
                ("password", models.CharField(max_length=128, verbose_name="password")),
                ("last_login", models.DateTimeField(blank=True, null=True, verbose_name="last login")),
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                (
                    "email",
                    models.EmailField(
                        max_length=254, unique=True, validators=[orderflow.tenancy.addresses.require_ascii]
                    ),
                ),
                (
                    "role",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("ADMIN", "Admin"),
                            ("INTEGRATOR", "Integrator"),
                            ("OPS", "Operations"),
                            ("VIEWER", "Viewer"),
                        ],
                        max_length=20,
                        null=True,
                    ),
                ),
                ("is_active", models.BooleanField(default=True)),
                ("date_joined", models.DateTimeField(auto_now_add=True)),
                ("sessions_ended", models.PositiveIntegerField(default=0, editable=False)),
                (
                    "org",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="users",
                        to="tenancy.org",
                    ),
                ),
            ],
            options={
                "ordering": ["email"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("org", None), ("role", None)),
                            models.Q(
                                ("org__isnull", False),
                                ("role__in", ["ADMIN", "INTEGRATOR", "OPS", "VIEWER"]),
                                ("role__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="user_has_org_and_role_or_neither",
                        violation_error_message="Choose an organisation and a role, or neither for platform staff.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("email", django.db.models.functions.text.Lower("email"))),
                        name="user_email_is_lower_case",
                    ),
                    models.UniqueConstraint(
                        django.db.models.functions.text.Lower("email"),
                        name="user_email_in_any_case_once",
                        violation_error_message="A user with this e-mail address already exists.",
                    ),
                ],
            },
        ),
    ]
