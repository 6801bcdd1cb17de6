"""Exports: read them and their files, retry pushes, and record answers that the ERP gave to a user."""

from collections.abc import Mapping
from io import BytesIO
from typing import IO, Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import FileResponse, HttpResponseBase
from django.utils.cache import get_conditional_response
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, NotFound
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from erp_connectors.api.common.idempotency import HEADER, idempotent
from erp_connectors.api.common.pagination import NewestFirst, OldestFirst
from erp_connectors.api.common.parsing import (
    InstantFilter,
    StrictBooleanFilter,
    StrictJSON,
)
from erp_connectors.api.common.strict import CONDITIONS, Strict, honours, takes_body
from erp_connectors.api.exports.shapes import (
    AcceptedIn,
    BulkRetryIn,
    BulkRetryOut,
    EventOut,
    ExportOut,
    RefusedIn,
)
from erp_connectors.archive import ArchiveAltered, ArchiveUnavailable, PayloadRemoved, open_verified
from erp_connectors.faults import ARCHIVE_ALTERED, ARCHIVE_UNAVAILABLE, Fault
from erp_connectors.models import ERPExport, ERPExportEvent
from erp_connectors.services.acks.manual_answers import mark_accepted, mark_refused
from erp_connectors.services.exports.retry import retry_exports
from erp_connectors.services.status.export_files import content_type_of
from erp_connectors.services.status.unread_answers import unread_answers
from erp_connectors.states import ExportStatus
from orderflow.tenancy.permissions import Requires, signed_in
from orderflow.tenancy.roles import Capability


class ExportFilter(filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    status = filters.MultipleChoiceFilter(choices=ExportStatus.choices, distinct=False)
    draft_order_id = filters.UUIDFilter(field_name="draft_order_id")
    overdue = StrictBooleanFilter(method="by_deadline", label="sent, and not answered by the deadline")
    created_after = InstantFilter(field_name="created_at", lookup_expr="gte")
    created_before = InstantFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = ERPExport
        fields = ["status", "draft_order_id"]

    def by_deadline(self, exports: QuerySet[ERPExport], name: str, wanted: bool) -> QuerySet[ERPExport]:
        late = Q(status=ExportStatus.SENT, overdue_at__isnull=False)
        return exports.filter(late if wanted else ~late)


NOT_RENDERED = "The order file is not rendered yet. Ask again when the export's sha256 is set."
NEVER_RENDERED = "The order file was never rendered; the export's error_json says why."


class PreconditionFailed(APIException):
    status_code = 412
    default_detail = "The payload is not the one that If-Match or If-Unmodified-Since asks for."


class Exports(Strict, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[ERPExport]):
    """Exports, newest first: one attempt each to hand an order to the ERP, and what became of it."""

    queryset = ERPExport.objects.all()
    serializer_class = ExportOut
    pagination_class = NewestFirst
    filterset_class = ExportFilter
    parser_classes = [StrictJSON]
    paged_actions = ("list", "events")
    # Of a page of a list, read at once.
    unread_answers: Mapping[UUID, Any] | None = None

    def get_permissions(self) -> list[BasePermission]:
        changes = self.action in ("mark_accepted", "mark_refused", "bulk_retry")
        return [Requires(Capability.PUSH if changes else Capability.READ)()]

    def get_queryset(self) -> QuerySet[ERPExport]:
        exports = ERPExport.objects.visible_to(signed_in(self.request))
        return exports.select_related("connection").defer("payload", "connection__config")

    def paginate_queryset(self, queryset: Any) -> Any:
        page = super().paginate_queryset(queryset)
        if page is not None and self.action == "list":
            self.unread_answers = unread_answers(page)
        return page

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "unread_answers": self.unread_answers}

    @extend_schema(request=AcceptedIn, responses=ExportOut, parameters=[HEADER])
    @action(detail=True, methods=["post"], url_path="mark-accepted")
    @idempotent()
    @takes_body
    def mark_accepted(self, request: Request, pk: str) -> Response:
        """Record that the ERP accepted the order; 409 if that contradicts what is recorded."""
        body = _valid(AcceptedIn(data=request.data))
        marked = mark_accepted(
            _id(pk), actor=signed_in(request), erp_order_id=body["erp_order_id"], note=body["note"]
        )
        return Response(ExportOut(marked.export).data)

    @extend_schema(request=RefusedIn, responses=ExportOut, parameters=[HEADER])
    @action(detail=True, methods=["post"], url_path="mark-refused")
    @idempotent()
    @takes_body
    def mark_refused(self, request: Request, pk: str) -> Response:
        """Record that the ERP refuses the order, which goes to ERROR; 409 as above."""
        body = _valid(RefusedIn(data=request.data))
        marked = mark_refused(_id(pk), actor=signed_in(request), note=body["note"])
        return Response(ExportOut(marked.export).data)

    @extend_schema(request=BulkRetryIn, responses=BulkRetryOut, parameters=[HEADER], filters=False)
    @action(detail=False, methods=["post"], url_path="bulk-retry", pagination_class=None)
    @idempotent()
    @takes_body
    def bulk_retry(self, request: Request) -> Response:
        """Retry the pushes of many exports. With `dry_run`, only return what would happen to each, and why."""
        body = _valid(BulkRetryIn(data=request.data))
        results = retry_exports(body["export_ids"], actor=signed_in(request), dry_run=body["dry_run"])
        return Response(BulkRetryOut({"dry_run": body["dry_run"], "results": results}).data)

    @extend_schema(responses=EventOut(many=True), filters=False)
    @action(detail=True, methods=["get"], pagination_class=OldestFirst, filterset_class=None)
    def events(self, request: Request, pk: str) -> Response:
        """The timeline, oldest first; after `events_removed_at` only what proves the delivery and the answer."""
        events = ERPExportEvent.objects.filter(export=self.get_object()).select_related("actor")
        page = self.paginate_queryset(events)
        return self.get_paginated_response(EventOut(page, many=True).data)

    @extend_schema(
        responses={
            (200, "application/json"): OpenApiTypes.OBJECT,
            (200, "text/csv"): OpenApiTypes.STR,
            304: None,
        }
    )
    @action(detail=True, methods=["get"])
    @honours(*CONDITIONS)
    def payload(self, request: Request, pk: str) -> HttpResponseBase:
        """The very bytes that were delivered; 404 until they are rendered, 410 once retention has removed them.

        The ETag is their SHA-256.
        """
        export = self.get_object()
        if not export.sha256:
            raise NotFound(NOT_RENDERED if export.status == ExportStatus.PENDING else NEVER_RENDERED)
        if export.payload_removed_at:
            raise PayloadRemoved(export.payload_removed_at)
        etag = f'"{export.sha256}"'
        unchanged = get_conditional_response(request._request, etag=etag)  # noqa: SLF001  # Django's own request
        if unchanged is not None and unchanged.status_code == PreconditionFailed.status_code:
            raise PreconditionFailed
        if unchanged is not None:
            return unchanged
        headers = {"ETag": etag, "Content-Length": str(export.size)}
        return FileResponse(
            _opened(export),
            as_attachment=True,
            filename=export.filename,
            content_type=content_type_of(export),
            headers=headers,
        )


def _opened(export: ERPExport) -> IO[bytes]:
    if export.payload is not None:
        return BytesIO(export.payload)
    try:
        return open_verified(export.export_storage_key, expected_sha256=export.sha256)
    except ArchiveUnavailable as error:
        raise Fault(ARCHIVE_UNAVAILABLE, str(error)) from error
    except ArchiveAltered as error:
        raise Fault(ARCHIVE_ALTERED, path=export.export_storage_key) from error


def _valid(serializer: serializers.Serializer[Any]) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ERPExport.DoesNotExist from None
