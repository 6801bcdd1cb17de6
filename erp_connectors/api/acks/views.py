"""Ack files: what the ERP answered, and what became of each file."""

from functools import reduce
from operator import or_

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import mixins, serializers, viewsets

from erp_connectors.api.common.messages import MessageFields
from erp_connectors.api.common.pagination import NewestSeenFirst
from erp_connectors.api.common.parsing import InstantFilter, StrictBooleanFilter
from erp_connectors.api.common.strict import Strict
from erp_connectors.models import AckFile
from erp_connectors.services.status.attention_queries import ACKS_THAT_NEED_ATTENTION
from erp_connectors.states import AckFileStatus
from orderflow.tenancy.permissions import Requires, signed_in
from orderflow.tenancy.roles import Capability


class AckFileOut(MessageFields, serializers.ModelSerializer[AckFile]):
    message_in = "reason"

    reason = serializers.SerializerMethodField(help_text="in English; empty if the answer counts")
    draft_order_id = serializers.UUIDField(
        source="export.draft_order_id",
        default=None,
        allow_null=True,
        help_text="null: its name names no export",
    )

    class Meta:
        model = AckFile
        fields = [
            "id", "name", "status", "reason", "code", "params", "export_id", "draft_order_id", "connection_id", "size",
            "first_seen_at", "decided_at", "moved_at", "moved_to", "dismissed_at",
        ]  # fmt: skip

    def get_reason(self, ack: AckFile) -> str:
        return self.english(ack)


class AckFileFilter(filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    status = filters.MultipleChoiceFilter(choices=AckFileStatus.choices, distinct=False)
    export_id = filters.UUIDFilter(field_name="export_id")
    draft_order_id = filters.UUIDFilter(field_name="export__draft_order_id")
    connection_id = filters.UUIDFilter(field_name="connection_id")
    needs_attention = StrictBooleanFilter(
        method="by_attention", label="unresolved or not moved, and not dismissed"
    )
    first_seen_after = InstantFilter(field_name="first_seen_at", lookup_expr="gte")
    first_seen_before = InstantFilter(field_name="first_seen_at", lookup_expr="lt")

    class Meta:
        model = AckFile
        fields = ["status", "export_id", "connection_id"]

    def by_attention(self, files: QuerySet[AckFile], name: str, wanted: bool) -> QuerySet[AckFile]:
        open_ = reduce(or_, ACKS_THAT_NEED_ATTENTION)
        return files.filter(open_ if wanted else ~open_)


class AckFiles(Strict, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[AckFile]):
    """Files that polls found in ack folders, newest first: which export each answers, and what became of it."""

    queryset = AckFile.objects.all()
    serializer_class = AckFileOut
    pagination_class = NewestSeenFirst
    filterset_class = AckFileFilter
    permission_classes = [Requires(Capability.READ)]

    def get_queryset(self) -> QuerySet[AckFile]:
        files = AckFile.objects.visible_to(signed_in(self.request)).select_related("export")
        return files.defer("body", "export__payload")
