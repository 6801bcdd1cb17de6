"""Draft orders: create, read, change, make ready, approve, push, retry."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from erp_connectors.api.common.idempotency import HEADER, CreatedRow, idempotency_key, idempotent
from erp_connectors.api.common.pagination import ByName, NewestFirst
from erp_connectors.api.common.parsing import ExactJSON, StrictJSON
from erp_connectors.api.common.strict import Strict, takes_body
from erp_connectors.api.orders.shapes import (
    CustomerOut,
    NewOrder,
    OrderChange,
    OrderOut,
    OrderWithLinesOut,
    OrderWithWarningsOut,
    PushOut,
)
from erp_connectors.services.exports.push import PushResult, push, retry_push
from orderflow.orders.approval import approve
from orderflow.orders.deleting import delete_draft
from orderflow.orders.drafting import change_draft, create_draft
from orderflow.orders.models import Customer, DraftOrder
from orderflow.orders.order_warnings import warnings_of
from orderflow.orders.review import mark_ready, reject
from orderflow.orders.search import search
from orderflow.orders.states import DraftStatus
from orderflow.search.lookups import contains
from orderflow.search.normal_form import words
from orderflow.tenancy.models import Org
from orderflow.tenancy.permissions import Requires, signed_in
from orderflow.tenancy.roles import Capability


class OrderFilter(filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    status = filters.MultipleChoiceFilter(choices=DraftStatus.choices, distinct=False)
    # By id, not by looking the customer up: that would tell whether another org has it.
    customer = filters.UUIDFilter(field_name="customer_id")
    search = filters.CharFilter(method="matching", label="order number, ERP number or customer")

    class Meta:
        model = DraftOrder
        fields = ["status", "customer"]

    def matching(self, orders: QuerySet[DraftOrder], name: str, text: str) -> QuerySet[DraftOrder]:
        return search(orders, signed_in(self.request), text)


class Orders(Strict, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[DraftOrder]):
    """Draft orders, newest first; a single one with its lines."""

    queryset = DraftOrder.objects.select_related("customer", "approved_by")
    pagination_class = NewestFirst
    filterset_class = OrderFilter
    parser_classes = [ExactJSON]
    CAPABILITIES = {
        "create": Capability.APPROVE, "partial_update": Capability.APPROVE, "ready": Capability.APPROVE,
        "reject": Capability.APPROVE, "approve": Capability.APPROVE, "push": Capability.PUSH,
        "retry_push": Capability.PUSH, "destroy": Capability.APPROVE,
    }  # fmt: skip

    def get_queryset(self) -> QuerySet[DraftOrder]:
        orders = DraftOrder.objects.visible_to(signed_in(self.request)).select_related(
            "customer", "approved_by"
        )
        return orders.prefetch_related("lines") if self.action == "retrieve" else orders

    def get_serializer_class(self) -> type[serializers.BaseSerializer[DraftOrder]]:
        return OrderWithLinesOut if self.action == "retrieve" else OrderOut

    def get_permissions(self) -> list[BasePermission]:
        return [Requires(self.CAPABILITIES.get(self.action, Capability.READ))()]

    @extend_schema(request=NewOrder, responses={201: OrderWithLinesOut}, parameters=[HEADER])
    @idempotent(location=CreatedRow("draftorder-detail", "id"))
    @takes_body
    def create(self, request: Request) -> Response:
        """A new order: READY where nothing is missing, else NEEDS_REVIEW, and `missing` says what."""
        data = NewOrder(data=request.data, context={"request": request})
        data.is_valid(raise_exception=True)
        draft = create_draft(
            _org(request, data.header().get("customer")),
            header=data.header(),
            lines=data.lines_data() or [],
            document=data.validated_data.get("document"),
        )
        return Response(self._whole(draft.pk), status=201)

    @extend_schema(request=OrderChange, responses=OrderWithLinesOut, parameters=[HEADER])
    @idempotent()
    @takes_body
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change the fields given; `lines` replace all. An approval is taken back; 409 once the order is pushed."""
        data = OrderChange(data=request.data, partial=True, context={"request": request})
        data.is_valid(raise_exception=True)
        draft = change_draft(_id(pk), actor=signed_in(request), header=data.header(), lines=data.lines_data())
        return Response(self._whole(draft.pk))

    @extend_schema(request=None, responses={204: None}, parameters=[HEADER])
    @idempotent()
    def destroy(self, request: Request, pk: str) -> Response:
        """Delete an order that was never approved; 409 for any other. The audit log keeps its header."""
        delete_draft(_id(pk), actor=signed_in(request))
        return Response(status=204)

    @extend_schema(request=None, responses=OrderWithWarningsOut, parameters=[HEADER])
    @action(detail=True, methods=["post"])
    @idempotent()
    def ready(self, request: Request, pk: str) -> Response:
        """NEEDS_REVIEW (or EXTRACTED) to READY; 422 with what is missing, 409 in any other status."""
        return Response(OrderWithWarningsOut(mark_ready(_id(pk), actor=signed_in(request))).data)

    @extend_schema(request=None, responses=OrderWithWarningsOut, parameters=[HEADER])
    @action(detail=True, methods=["post"])
    @idempotent()
    def reject(self, request: Request, pk: str) -> Response:
        """NEEDS_REVIEW to REJECTED, for good; 409 in any other status."""
        return Response(OrderWithWarningsOut(reject(_id(pk), actor=signed_in(request))).data)

    @extend_schema(request=None, responses=OrderWithWarningsOut, parameters=[HEADER])
    @action(detail=True, methods=["post"])
    @idempotent()
    def approve(self, request: Request, pk: str) -> Response:
        """READY to APPROVED; 409 in any other status, 422 where something is missing."""
        return Response(OrderWithWarningsOut(approve(_id(pk), actor=signed_in(request))).data)

    @extend_schema(request=None, responses={202: PushOut, 200: PushOut}, parameters=[HEADER])
    @action(detail=True, methods=["post"])
    @idempotent(repeated_status=200, location=CreatedRow("erpexport-detail", "erp_export_id"))
    def push(self, request: Request, pk: str) -> Response:
        """Start the delivery of an APPROVED order: 202. Repeated: 200 with the same export."""
        result = push(_id(pk), actor=signed_in(request), idempotency_key=idempotency_key(request))
        return _pushed(result)

    @extend_schema(request=None, responses={202: PushOut}, parameters=[HEADER])
    @action(detail=True, methods=["post"], url_path="retry-push")
    @idempotent(location=CreatedRow("erpexport-detail", "erp_export_id"))
    def retry_push(self, request: Request, pk: str) -> Response:
        """A new export for an order in ERROR: 202; 409 in any other status."""
        return _pushed(retry_push(_id(pk), actor=signed_in(request)))

    def _whole(self, pk: UUID) -> Any:
        orders = DraftOrder.objects.select_related("customer", "approved_by").prefetch_related("lines")
        return OrderWithLinesOut(orders.get(pk=pk)).data


class CustomerFilter(filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    erp_customer_number = filters.CharFilter()
    search = filters.CharFilter(method="matching", label="a part of the name")

    class Meta:
        model = Customer
        fields = ["erp_customer_number"]

    def matching(self, customers: QuerySet[Customer], name: str, text: str) -> QuerySet[Customer]:
        return customers.filter(contains(text, "name")) if words(text) else customers.none()


class Customers(Strict, mixins.ListModelMixin, viewsets.GenericViewSet[Customer]):
    """Customers; a new order names the id of one."""

    queryset = Customer.objects.all()
    serializer_class = CustomerOut
    pagination_class = ByName
    filterset_class = CustomerFilter
    permission_classes = [Requires(Capability.READ)]
    parser_classes = [StrictJSON]

    def get_queryset(self) -> QuerySet[Customer]:
        return Customer.objects.visible_to(signed_in(self.request))


def _org(request: Request, customer: Customer | None) -> Org:
    """The user's own; platform staff have none, so the customer tells."""
    org = signed_in(request).org or (customer.org if customer else None)
    if org is None:
        raise ValidationError({"customer": ["Platform staff name the org by its customer."]})
    return org


def _pushed(result: PushResult) -> Response:
    export = result.export
    body = {
        "draft_order_id": export.draft_order_id,
        "erp_export_id": export.pk,
        "status": export.status,
        "warnings": warnings_of(export.draft_order),
    }
    return Response(PushOut(body).data, status=202 if result.created else 200)


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise DraftOrder.DoesNotExist from None
