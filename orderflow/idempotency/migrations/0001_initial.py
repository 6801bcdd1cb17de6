import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="KeyedRequest",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "scope",
                    models.CharField(help_text="The org, or the user who belongs to none.", max_length=80),
                ),
                ("operation", models.CharField(help_text="Method and path.", max_length=200)),
                ("key", models.CharField(max_length=255)),
                (
                    "fingerprint",
                    models.CharField(help_text="SHA-256 of the request's query and body.", max_length=64),
                ),
                ("token", models.CharField(max_length=32)),
                ("until", models.DateTimeField()),
                ("status", models.PositiveSmallIntegerField(null=True)),
                ("body", models.TextField(null=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "indexes": [models.Index(fields=["created_at"], name="keyed_request_by_age")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("scope", "operation", "key"), name="one_request_per_idempotency_key"
                    )
                ],
            },
        ),
    ]
