"""Exports: what was sent, when, what became of it; and what the ERP answered to a person."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from erp_connectors.api.pagination import NewestFirst
from erp_connectors.api.parsing import InstantFilter
from erp_connectors.archive import ArchiveAltered, ArchiveUnavailable
from erp_connectors.faults import ARCHIVE_ALTERED, ARCHIVE_UNAVAILABLE, Fault
from erp_connectors.models import ERPExport
from erp_connectors.services.by_hand import MAX_NOTE, MAX_ORDER_ID, mark_accepted, mark_refused
from erp_connectors.services.overdue import overdue
from erp_connectors.services.publishing import bytes_of
from erp_connectors.states import ExportStatus
from orderflow.tenancy.permissions import Requires, signed_in
from orderflow.tenancy.roles import Capability


class ExportOut(serializers.ModelSerializer[ERPExport]):
    class Meta:
        model = ERPExport
        fields = [
            "id", "draft_order_id", "connection_id", "status", "failed_as", "filename", "export_format_version",
            "sha256", "size", "dropzone_path", "erp_order_id", "error_json", "conflict_json", "attempts",
            "next_attempt_at", "created_at", "sent_at", "answered_at",
        ]  # fmt: skip


class RefusedIn(serializers.Serializer[Any]):
    note = serializers.CharField(max_length=MAX_NOTE, help_text="who said so, and why; people read it")


class AcceptedIn(RefusedIn):
    erp_order_id = serializers.CharField(max_length=MAX_ORDER_ID)


class ExportFilter(filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    status = filters.MultipleChoiceFilter(choices=ExportStatus.choices)
    draft_order_id = filters.UUIDFilter(field_name="draft_order_id")
    overdue = filters.BooleanFilter(method="by_deadline", label="sent, and not answered by the deadline")
    created_after = InstantFilter(field_name="created_at", lookup_expr="gte")
    created_before = InstantFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = ERPExport
        fields = ["status", "draft_order_id"]

    def by_deadline(self, exports: QuerySet[ERPExport], name: str, wanted: bool) -> QuerySet[ERPExport]:
        late = overdue(exports, now=timezone.now())
        return late if wanted else exports.exclude(pk__in=late.order_by().values("pk"))


class Exports(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[ERPExport]):
    """Exports, newest first: one attempt each to hand an order to the ERP, and what became of it."""

    queryset = ERPExport.objects.all()
    serializer_class = ExportOut
    pagination_class = NewestFirst
    filterset_class = ExportFilter

    def get_permissions(self) -> list[BasePermission]:
        by_hand = self.action in ("mark_accepted", "mark_refused")
        return [Requires(Capability.PUSH if by_hand else Capability.READ)()]

    def get_queryset(self) -> QuerySet[ERPExport]:
        return ERPExport.objects.visible_to(signed_in(self.request)).defer("payload")

    @extend_schema(request=AcceptedIn, responses=ExportOut)
    @action(detail=True, methods=["post"], url_path="mark-accepted")
    def mark_accepted(self, request: Request, pk: str) -> Response:
        """The ERP told a person that it accepted the order; 409 where that contradicts what is recorded."""
        told = _valid(AcceptedIn(data=request.data))
        marked = mark_accepted(
            _id(pk), actor=signed_in(request), erp_order_id=told["erp_order_id"], note=told["note"]
        )
        return Response(ExportOut(marked.export).data)

    @extend_schema(request=RefusedIn, responses=ExportOut)
    @action(detail=True, methods=["post"], url_path="mark-refused")
    def mark_refused(self, request: Request, pk: str) -> Response:
        """The ERP told a person that it refuses the order, which goes to ERROR; 409 as above."""
        told = _valid(RefusedIn(data=request.data))
        marked = mark_refused(_id(pk), actor=signed_in(request), note=told["note"])
        return Response(ExportOut(marked.export).data)

    @extend_schema(responses={(200, "application/json"): OpenApiTypes.OBJECT})
    @action(detail=True, methods=["get"])
    def payload(self, request: Request, pk: str) -> HttpResponse:
        """The very bytes that were delivered; 404 until they are rendered."""
        export = self.get_object()
        if not export.sha256:
            raise ERPExport.DoesNotExist
        try:
            body = bytes_of(export)
        except ArchiveUnavailable as error:
            raise Fault(ARCHIVE_UNAVAILABLE, str(error)) from error
        except ArchiveAltered as error:
            raise Fault(ARCHIVE_ALTERED, str(error)) from error
        headers = {
            "ETag": f'"{export.sha256}"',
            "Content-Disposition": f'attachment; filename="{export.filename}"',
        }
        return HttpResponse(body, content_type="application/json", headers=headers)


def _valid(serializer: serializers.Serializer[Any]) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ERPExport.DoesNotExist from None
