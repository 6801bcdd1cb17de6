import uuid
from decimal import Decimal

import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import orderflow.orders.fields
import orderflow.tenancy.same_org


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("tenancy", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Customer",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("name", models.CharField(max_length=200)),
                ("erp_customer_number", models.CharField(blank=True, default="", max_length=50)),
                ("default_currency", models.CharField(blank=True, default="", max_length=3)),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="customers",
                        to="tenancy.org",
                    ),
                ),
            ],
            options={
                "ordering": ["name"],
                "indexes": [
                    models.Index(fields=["org", "name"], name="customer_by_org"),
                    models.Index(fields=["org", "erp_customer_number"], name="customer_by_number"),
                ],
                "constraints": [models.UniqueConstraint(fields=("org", "id"), name="customer_by_org_and_id")],
            },
        ),
        migrations.CreateModel(
            name="Document",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("file_name", models.CharField(max_length=255)),
                (
                    "sha256",
                    models.CharField(
                        max_length=64,
                        validators=[
                            django.core.validators.RegexValidator("^[0-9a-f]{64}$", "64 hex digits.")
                        ],
                    ),
                ),
                ("size", models.PositiveBigIntegerField()),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="documents",
                        to="tenancy.org",
                    ),
                ),
            ],
            options={
                "ordering": ["file_name", "id"],
                "constraints": [models.UniqueConstraint(fields=("org", "id"), name="document_by_org_and_id")],
            },
        ),
        migrations.CreateModel(
            name="DraftOrder",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                (
                    "external_order_number",
                    models.CharField(blank=True, default="", max_length=100, verbose_name="order number"),
                ),
                ("order_date", models.DateField(blank=True, null=True)),
                ("currency", models.CharField(blank=True, default="", max_length=3)),
                ("requested_delivery_date", models.DateField(blank=True, null=True)),
                ("notes", models.TextField(blank=True, default="")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("NEW", "New"),
                            ("EXTRACTED", "Extracted"),
                            ("NEEDS_REVIEW", "Needs review"),
                            ("READY", "Ready"),
                            ("REJECTED", "Rejected"),
                            ("APPROVED", "Approved"),
                            ("PUSHING", "Pushing"),
                            ("PUSHED", "Pushed"),
                            ("ERROR", "Error"),
                        ],
                        default="NEW",
                        editable=False,
                        max_length=15,
                    ),
                ),
                ("approved_at", models.DateTimeField(editable=False, null=True)),
                (
                    "approved_customer_number",
                    models.CharField(blank=True, default="", editable=False, max_length=50),
                ),
                (
                    "approved_customer_name",
                    models.CharField(blank=True, default="", editable=False, max_length=200),
                ),
                (
                    "erp_order_id",
                    models.CharField(
                        blank=True, default="", editable=False, max_length=255, verbose_name="ERP number"
                    ),
                ),
                (
                    "erp_number_doubtful_at",
                    models.DateTimeField(
                        editable=False,
                        help_text="When it was noticed that another order has this ERP number, or that it is a placeholder.",
                        null=True,
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "approved_by",
                    models.ForeignKey(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="approved_orders",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "customer",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="draft_orders",
                        to="orders.customer",
                    ),
                ),
                (
                    "document",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="draft_orders",
                        to="orders.document",
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="draft_orders",
                        to="tenancy.org",
                    ),
                ),
            ],
            options={
                "verbose_name": "order",
                "ordering": ["-created_at"],
                "indexes": [
                    models.Index(fields=["org", "status", "-created_at"], name="draft_by_status"),
                    models.Index(fields=["org", "-created_at"], name="draft_by_org"),
                    models.Index(
                        condition=models.Q(("status", "ERROR")), fields=["org"], name="draft_in_error"
                    ),
                    models.Index(fields=["customer", "-created_at"], name="draft_by_customer"),
                    models.Index(fields=["org", "external_order_number"], name="draft_by_number"),
                    models.Index(
                        condition=models.Q(("erp_order_id", ""), _negated=True),
                        fields=["org", "erp_order_id", "erp_number_doubtful_at"],
                        name="draft_by_erp_number",
                    ),
                    models.Index(
                        condition=models.Q(("erp_number_doubtful_at__isnull", False)),
                        fields=["org", "-erp_number_doubtful_at"],
                        name="draft_erp_number_doubtful",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "status__in",
                                [
                                    "NEW",
                                    "EXTRACTED",
                                    "NEEDS_REVIEW",
                                    "READY",
                                    "REJECTED",
                                    "APPROVED",
                                    "PUSHING",
                                    "PUSHED",
                                    "ERROR",
                                ],
                            )
                        ),
                        name="draft_status_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("currency", ""), ("currency__regex", "^[A-Z]{3}$"), _connector="OR"
                        ),
                        name="draft_currency_iso",
                    ),
                    models.UniqueConstraint(fields=("org", "id"), name="draft_by_org_and_id"),
                    orderflow.tenancy.same_org.SameOrg(field="customer", name="draft_customer_of_same_org"),
                    orderflow.tenancy.same_org.SameOrg(field="document", name="draft_document_of_same_org"),
                ],
            },
        ),
        migrations.CreateModel(
            name="DraftOrderLine",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("line_no", models.PositiveIntegerField(verbose_name="no.")),
                (
                    "internal_sku",
                    models.CharField(blank=True, default="", max_length=100, verbose_name="SKU"),
                ),
                (
                    "customer_sku_raw",
                    models.CharField(blank=True, default="", max_length=200, verbose_name="customer's SKU"),
                ),
                (
                    "product_description",
                    models.CharField(blank=True, default="", max_length=500, verbose_name="description"),
                ),
                (
                    "qty",
                    orderflow.orders.fields.ExactDecimalField(
                        decimal_places=3, default=Decimal("0"), max_digits=18, verbose_name="quantity"
                    ),
                ),
                (
                    "uom",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("ST", "ST"),
                            ("M", "M"),
                            ("CM", "CM"),
                            ("MM", "MM"),
                            ("KG", "KG"),
                            ("G", "G"),
                            ("L", "L"),
                            ("ML", "ML"),
                            ("KAR", "KAR"),
                            ("PAL", "PAL"),
                            ("SET", "SET"),
                        ],
                        default="",
                        max_length=3,
                        verbose_name="unit",
                    ),
                ),
                (
                    "unit_price",
                    orderflow.orders.fields.ExactDecimalField(
                        blank=True, decimal_places=4, max_digits=18, null=True
                    ),
                ),
                ("currency", models.CharField(blank=True, default="", max_length=3)),
                (
                    "draft_order",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="lines",
                        to="orders.draftorder",
                    ),
                ),
            ],
            options={
                "verbose_name": "line",
                "ordering": ["line_no"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("draft_order", "line_no"), name="line_no_unique_in_draft"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("uom", ""),
                            ("uom__in", ["ST", "M", "CM", "MM", "KG", "G", "L", "ML", "KAR", "PAL", "SET"]),
                            _connector="OR",
                        ),
                        name="line_uom_is_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ImportedOrder",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("external_order_number", models.CharField(max_length=100)),
                ("sha256", models.CharField(max_length=64)),
                ("file_name", models.CharField(max_length=255)),
                ("file_line", models.PositiveBigIntegerField()),
                ("imported_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "customer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="imported_orders",
                        to="orders.customer",
                    ),
                ),
                (
                    "draft_order",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="imported_as",
                        to="orders.draftorder",
                    ),
                ),
                (
                    "imported_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("customer", "external_order_number"), name="order_of_a_customer_imported_once"
                    )
                ],
            },
        ),
    ]
