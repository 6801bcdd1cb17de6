"""Exports: what was sent, when, what became of it."""

from django.db.models import QuerySet
from django.http import HttpResponse
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request

from erp_connectors.api.pagination import NewestFirst
from erp_connectors.api.parsing import InstantFilter
from erp_connectors.archive import ArchiveAltered, ArchiveUnavailable
from erp_connectors.faults import ARCHIVE_ALTERED, ARCHIVE_UNAVAILABLE, Fault
from erp_connectors.models import ERPExport
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


class ExportFilter(filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    status = filters.MultipleChoiceFilter(choices=ExportStatus.choices)
    draft_order_id = filters.UUIDFilter(field_name="draft_order_id")
    created_after = InstantFilter(field_name="created_at", lookup_expr="gte")
    created_before = InstantFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = ERPExport
        fields = ["status", "draft_order_id"]


class Exports(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[ERPExport]):
    queryset = ERPExport.objects.all()
    serializer_class = ExportOut
    pagination_class = NewestFirst
    filterset_class = ExportFilter
    permission_classes = [Requires(Capability.READ)]

    def get_queryset(self) -> QuerySet[ERPExport]:
        return ERPExport.objects.visible_to(signed_in(self.request)).defer("payload")

    @extend_schema(responses={(200, "application/json"): OpenApiTypes.BINARY})
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
