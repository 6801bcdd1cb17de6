"""The part of the order domain that pushing needs. Only `orders/transitions.py` changes the status of an order."""

from decimal import Decimal
from uuid import uuid4

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from orderflow.input_rules.fields import CurrencyField, KeyField, NotesField, OneLineField
from orderflow.orders.fields import ExactDecimalField
from orderflow.orders.states import DraftStatus, Uom
from orderflow.tenancy.models import Org
from orderflow.tenancy.querysets import OrgScopedQuerySet
from orderflow.tenancy.same_org import SameOrg


class Customer(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    org = models.ForeignKey(Org, on_delete=models.PROTECT, related_name="customers")
    name = OneLineField(max_length=200)
    erp_customer_number = KeyField(max_length=50, blank=True, default="")
    default_currency = CurrencyField(blank=True, default="")

    objects = OrgScopedQuerySet["Customer"].as_manager()

    class Meta:
        ordering = ["name"]
        indexes = [
            models.Index(fields=["org", "name"], name="customer_by_org"),
            models.Index(fields=["org", "erp_customer_number"], name="customer_by_number"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["org", "id"], name="customer_by_org_and_id"),
        ]

    def __str__(self) -> str:
        return self.name


class Document(models.Model):
    """The file an order was read from."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    org = models.ForeignKey(Org, on_delete=models.PROTECT, related_name="documents")
    file_name = OneLineField(max_length=255)
    sha256 = models.CharField(max_length=64, validators=[RegexValidator("^[0-9a-f]{64}$", "64 hex digits.")])
    size = models.PositiveBigIntegerField()

    objects = OrgScopedQuerySet["Document"].as_manager()

    class Meta:
        ordering = ["file_name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["org", "id"], name="document_by_org_and_id"),
        ]

    def __str__(self) -> str:
        return self.file_name


class DraftOrder(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    org = models.ForeignKey(Org, on_delete=models.PROTECT, related_name="draft_orders")
    # Its index is `draft_by_customer`.
    customer = models.ForeignKey(
        Customer, on_delete=models.PROTECT, null=True, blank=True, related_name="draft_orders", db_index=False
    )
    document = models.ForeignKey(
        Document, on_delete=models.PROTECT, null=True, blank=True, related_name="draft_orders"
    )
    external_order_number = KeyField("order number", max_length=100, blank=True, default="")
    order_date = models.DateField(null=True, blank=True)
    currency = CurrencyField(blank=True, default="")
    requested_delivery_date = models.DateField(null=True, blank=True)
    notes = NotesField(blank=True, default="")
    status = models.CharField(
        max_length=15, choices=DraftStatus.choices, default=DraftStatus.NEW, editable=False
    )
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        editable=False,
        related_name="approved_orders",
    )
    approved_at = models.DateTimeField(null=True, editable=False)
    # The customer as approved: a connector writes these, whatever the customer is called by then.
    approved_customer_number = models.CharField(max_length=50, blank=True, default="", editable=False)
    approved_customer_name = models.CharField(max_length=200, blank=True, default="", editable=False)
    erp_order_id = KeyField("ERP number", max_length=255, blank=True, default="", editable=False)
    erp_number_doubtful_at = models.DateTimeField(
        null=True,
        editable=False,
        help_text="When it was noticed that another order has this ERP number, or that it is a placeholder.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = OrgScopedQuerySet["DraftOrder"].as_manager()

    class Meta:
        verbose_name = "order"
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=DraftStatus.values), name="draft_status_is_known"),
            models.CheckConstraint(
                condition=Q(currency="") | Q(currency__regex="^[A-Z]{3}$"), name="draft_currency_iso"
            ),
            models.UniqueConstraint(fields=["org", "id"], name="draft_by_org_and_id"),
            SameOrg(field="customer", name="draft_customer_of_same_org"),
            SameOrg(field="document", name="draft_document_of_same_org"),
        ]
        indexes = [
            models.Index(fields=["org", "status", "-created_at"], name="draft_by_status"),
            models.Index(fields=["org", "-created_at"], name="draft_by_org"),
            # A handful among all there are, counted at each scrape.
            models.Index(fields=["org"], name="draft_in_error", condition=Q(status=DraftStatus.ERROR)),
            models.Index(fields=["customer", "-created_at"], name="draft_by_customer"),
            models.Index(fields=["org", "external_order_number"], name="draft_by_number"),
            models.Index(
                fields=["org", "erp_order_id", "erp_number_doubtful_at"],
                name="draft_by_erp_number",
                condition=~Q(erp_order_id=""),
            ),
            models.Index(
                fields=["org", "-erp_number_doubtful_at"],
                name="draft_erp_number_doubtful",
                condition=Q(erp_number_doubtful_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.external_order_number or str(self.id)


class DraftOrderLineQuerySet(OrgScopedQuerySet["DraftOrderLine"]):
    org_lookup = "draft_order__org"


class DraftOrderLine(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    draft_order = models.ForeignKey(DraftOrder, on_delete=models.CASCADE, related_name="lines")
    line_no = models.PositiveIntegerField("no.")
    internal_sku = KeyField("SKU", max_length=100, blank=True, default="")
    customer_sku_raw = KeyField("customer's SKU", max_length=200, blank=True, default="")
    product_description = OneLineField("description", max_length=500, blank=True, default="")
    qty = ExactDecimalField("quantity", max_digits=18, decimal_places=3, default=Decimal(0))
    uom = models.CharField("unit", max_length=3, choices=Uom.choices, blank=True, default="")
    unit_price = ExactDecimalField(max_digits=18, decimal_places=4, null=True, blank=True)
    currency = CurrencyField(blank=True, default="")

    objects = DraftOrderLineQuerySet.as_manager()

    class Meta:
        verbose_name = "line"
        ordering = ["line_no"]
        constraints = [
            models.UniqueConstraint(fields=["draft_order", "line_no"], name="line_no_unique_in_draft"),
            models.CheckConstraint(condition=Q(uom="") | Q(uom__in=Uom.values), name="line_uom_is_known"),
        ]

    def __str__(self) -> str:
        return str(self.line_no)


class ImportedOrderQuerySet(OrgScopedQuerySet["ImportedOrder"]):
    org_lookup = "draft_order__org"


class ImportedOrder(models.Model):
    """The draft that was made of each order of a file, so that importing the file again creates no new drafts."""

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="imported_orders")
    # As the file had it: a person may correct the draft's own.
    external_order_number = KeyField(max_length=100)
    draft_order = models.OneToOneField(DraftOrder, on_delete=models.CASCADE, related_name="imported_as")
    sha256 = models.CharField(max_length=64)
    file_name = OneLineField(max_length=255)
    file_line = models.PositiveBigIntegerField()
    imported_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    imported_at = models.DateTimeField(default=timezone.now)

    objects = ImportedOrderQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["customer", "external_order_number"], name="order_of_a_customer_imported_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.file_name}:{self.file_line}"
