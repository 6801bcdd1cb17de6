"""Draft orders as JSON, out and in."""

from collections import Counter
from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from erp_connectors.api.common.codes import WARNING_CODES
from erp_connectors.api.common.input_fields import Amount, WholeNumber
from erp_connectors.api.common.parsing import IdField, KnownFieldsOnly, SomethingIn
from erp_connectors.states import ExportStatus
from orderflow.messages import english
from orderflow.orders.models import Customer, Document, DraftOrder, DraftOrderLine
from orderflow.orders.order_warnings import warnings_of
from orderflow.orders.readiness import missing_for_ready
from orderflow.orders.warning_codes import OrderWarning
from orderflow.tenancy.permissions import signed_in

LINE_FIELDS = [
    "line_no", "internal_sku", "customer_sku_raw", "product_description", "qty", "uom", "unit_price", "currency",
]  # fmt: skip
HEADER_FIELDS = [
    "external_order_number", "customer", "order_date", "currency", "requested_delivery_date", "notes",
]  # fmt: skip
MAX_LINES = 10_000


class CustomerOut(serializers.ModelSerializer[Customer]):
    class Meta:
        model = Customer
        fields = ["id", "name", "erp_customer_number", "default_currency"]


class LineOut(serializers.ModelSerializer[DraftOrderLine]):
    qty = serializers.DecimalField(max_digits=18, decimal_places=3)
    unit_price = serializers.DecimalField(max_digits=18, decimal_places=4, allow_null=True)

    class Meta:
        model = DraftOrderLine
        fields = LINE_FIELDS


class OrderOut(serializers.ModelSerializer[DraftOrder]):
    approved_by = serializers.EmailField(source="approved_by.email", default=None, allow_null=True)
    customer_name = serializers.CharField(source="customer.name", default=None, allow_null=True)

    class Meta:
        model = DraftOrder
        fields = [
            "id", "external_order_number", "status", "customer", "customer_name", "order_date", "currency",
            "requested_delivery_date", "notes", "approved_by", "approved_at", "approved_customer_number",
            "approved_customer_name", "erp_order_id", "created_at",
        ]  # fmt: skip


class WarningOut(serializers.Serializer[OrderWarning]):
    code = serializers.ChoiceField(WARNING_CODES)
    message = serializers.CharField(source="english", help_text="for people, in English")
    params = serializers.DictField(help_text="the values in the message, by name")


class OrderWithWarningsOut(OrderOut):
    warnings = serializers.SerializerMethodField(
        help_text="what to check before the order is approved or pushed; nothing of it blocks"
    )

    class Meta(OrderOut.Meta):
        fields = [*OrderOut.Meta.fields, "warnings"]

    @extend_schema_field(WarningOut(many=True))
    def get_warnings(self, draft: DraftOrder) -> list[dict[str, Any]]:
        return warnings_out(draft)


class OrderWithLinesOut(OrderWithWarningsOut):
    lines = LineOut(many=True)
    missing = serializers.SerializerMethodField(
        help_text="what the order lacks before it can be READY, one sentence each, lines by number"
    )

    class Meta(OrderWithWarningsOut.Meta):
        fields = [*OrderWithWarningsOut.Meta.fields, "missing", "lines"]

    def get_missing(self, draft: DraftOrder) -> list[str]:
        return [english(one) for one in missing_for_ready(draft)]


class LineIn(KnownFieldsOnly, serializers.ModelSerializer[DraftOrderLine]):
    """Only the number is required: what else is missing is said in ``missing``, and keeps the order in review."""

    line_no = WholeNumber(min_value=1, max_value=2_147_483_647)
    qty = Amount(max_digits=18, decimal_places=3, default=Decimal)
    unit_price = Amount(max_digits=18, decimal_places=4, allow_null=True, default=None)

    class Meta:
        model = DraftOrderLine
        fields = LINE_FIELDS


class DocumentIn(KnownFieldsOnly, serializers.ModelSerializer[Document]):
    class Meta:
        model = Document
        fields = ["file_name", "sha256", "size"]


class OwnCustomer(serializers.PrimaryKeyRelatedField[Customer]):
    """A customer of the user's org; another org's id is refused like an unknown one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"pk_field": IdField(), **options})

    def run_validation(self, data: Any = serializers.empty) -> Any:
        # REST framework would treat an empty text as null.
        if data == "":
            self.fail("incorrect_type", data_type="str")
        return super().run_validation(data)

    def get_queryset(self) -> Any:
        return Customer.objects.visible_to(signed_in(self.context["request"]))


class OrderChange(SomethingIn, KnownFieldsOnly, serializers.ModelSerializer[DraftOrder]):
    customer = OwnCustomer(allow_null=True, required=False)
    lines = LineIn(
        many=True,
        required=False,
        max_length=MAX_LINES,  # type: ignore[call-arg]  # of the list
        help_text="replace all the lines",
    )

    class Meta:
        model = DraftOrder
        fields = [*HEADER_FIELDS, "lines"]

    def validate_lines(self, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        numbers = Counter(line["line_no"] for line in lines)
        twice = sorted(number for number, count in numbers.items() if count > 1)
        if twice:
            listed = ", ".join(map(str, twice[:10]))
            raise serializers.ValidationError(f"line_no {listed} is there twice; number each line once.")
        return lines

    def header(self) -> dict[str, Any]:
        return {name: value for name, value in self.validated_data.items() if name in HEADER_FIELDS}

    def lines_data(self) -> list[dict[str, Any]] | None:
        lines: list[dict[str, Any]] | None = self.validated_data.get("lines")
        return lines


class NewOrder(OrderChange):
    document = DocumentIn(required=False, allow_null=True, help_text="the file the order was read from")

    class Meta(OrderChange.Meta):
        fields = [*OrderChange.Meta.fields, "document"]


class PushOut(serializers.Serializer[Any]):
    draft_order_id = serializers.UUIDField()
    erp_export_id = serializers.UUIDField()
    status = serializers.ChoiceField(ExportStatus.choices, help_text="of the export")
    warnings = WarningOut(many=True, help_text="of the order")


def warnings_out(draft: DraftOrder) -> list[dict[str, Any]]:
    return [dict(WarningOut(warning).data) for warning in warnings_of(draft)]
