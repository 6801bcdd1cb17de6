"""Draft orders: read, approve, push, retry."""

import re
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from erp_connectors.api.pagination import NewestFirst
from erp_connectors.services.push import PushResult, push, retry_push
from orderflow.orders.approval import approve
from orderflow.orders.models import Customer, DraftOrder, DraftOrderLine
from orderflow.orders.search import search
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.permissions import Requires, signed_in
from orderflow.tenancy.roles import Capability

SANE_KEY = re.compile(r"[\x20-\x7e]{1,255}")


class LineOut(serializers.ModelSerializer[DraftOrderLine]):
    qty = serializers.DecimalField(max_digits=18, decimal_places=3)
    unit_price = serializers.DecimalField(max_digits=18, decimal_places=4, allow_null=True)

    class Meta:
        model = DraftOrderLine
        fields = [
            "line_no", "internal_sku", "customer_sku_raw", "product_description", "qty", "uom", "unit_price",
            "currency",
        ]  # fmt: skip


class OrderOut(serializers.ModelSerializer[DraftOrder]):
    approved_by = serializers.EmailField(source="approved_by.email", default=None)
    customer_name = serializers.CharField(source="customer.name", default=None)

    class Meta:
        model = DraftOrder
        fields = [
            "id", "external_order_number", "status", "customer", "customer_name", "order_date", "currency",
            "requested_delivery_date", "notes", "approved_by", "approved_at", "erp_order_id", "created_at",
        ]  # fmt: skip


class OrderWithLinesOut(OrderOut):
    lines = LineOut(many=True)

    class Meta(OrderOut.Meta):
        fields = [*OrderOut.Meta.fields, "lines"]


class Pushed(serializers.Serializer[Any]):
    draft_order_id = serializers.UUIDField()
    erp_export_id = serializers.UUIDField()
    status = serializers.CharField(help_text="of the export")


class OrderFilter(filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    status = filters.MultipleChoiceFilter(choices=DraftStatus.choices)
    # By id, not by looking the customer up: that would tell whether another org has it.
    customer = filters.UUIDFilter(field_name="customer_id")
    search = filters.CharFilter(method="matching", label="order number, ERP number or customer")

    class Meta:
        model = DraftOrder
        fields = ["status", "customer"]

    def matching(self, orders: QuerySet[DraftOrder], name: str, text: str) -> QuerySet[DraftOrder]:
        customers = Customer.objects.visible_to(signed_in(self.request))
        return search(orders, customers, text)


class Orders(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[DraftOrder]):
    queryset = DraftOrder.objects.select_related("customer", "approved_by")
    pagination_class = NewestFirst
    filterset_class = OrderFilter

    def get_queryset(self) -> QuerySet[DraftOrder]:
        orders = DraftOrder.objects.visible_to(signed_in(self.request)).select_related(
            "customer", "approved_by"
        )
        return orders.prefetch_related("lines") if self.action == "retrieve" else orders

    def get_serializer_class(self) -> type[serializers.BaseSerializer[DraftOrder]]:
        return OrderWithLinesOut if self.action == "retrieve" else OrderOut

    def get_permissions(self) -> list[BasePermission]:
        needed = {"approve": Capability.APPROVE, "push": Capability.PUSH, "retry_push": Capability.PUSH}
        return [Requires(needed.get(self.action, Capability.READ))()]

    @extend_schema(request=None, responses=OrderOut)
    @action(detail=True, methods=["post"])
    def approve(self, request: Request, pk: str) -> Response:
        """READY to APPROVED; 409 in any other status, 422 where something is missing."""
        return Response(OrderOut(approve(_id(pk), actor=signed_in(request))).data)

    @extend_schema(
        request=None,
        responses={202: Pushed, 200: Pushed},
        parameters=[OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER)],
    )
    @action(detail=True, methods=["post"])
    def push(self, request: Request, pk: str) -> Response:
        """Start the delivery of an APPROVED order: 202. Repeated: 200 with the same export."""
        result = push(_id(pk), actor=signed_in(request), idempotency_key=_idempotency_key(request))
        return _pushed(result)

    @extend_schema(request=None, responses={202: Pushed})
    @action(detail=True, methods=["post"], url_path="retry-push")
    def retry_push(self, request: Request, pk: str) -> Response:
        """A new export for an order in ERROR: 202; 409 in any other status."""
        return _pushed(retry_push(_id(pk), actor=signed_in(request)))


def _pushed(result: PushResult) -> Response:
    export = result.export
    body = {"draft_order_id": export.draft_order_id, "erp_export_id": export.pk, "status": export.status}
    return Response(Pushed(body).data, status=202 if result.created else 200)


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise DraftOrder.DoesNotExist from None


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not SANE_KEY.fullmatch(key):
        raise ValidationError({"Idempotency-Key": ["Send 1 to 255 printable ASCII characters."]})
    return key
