"""The audit log: who did what, when, from where."""

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import mixins, serializers, viewsets

from erp_connectors.api.common.pagination import NewestFirst
from erp_connectors.api.common.parsing import InstantFilter
from erp_connectors.api.common.strict import Strict
from orderflow.audit.models import Action, AuditLog
from orderflow.audit.search import search
from orderflow.tenancy.models import User
from orderflow.tenancy.permissions import Requires, signed_in
from orderflow.tenancy.roles import Capability


class AuditOut(serializers.ModelSerializer[AuditLog]):
    actor = serializers.EmailField(
        source="actor.email", default=None, allow_null=True, help_text="null: the system"
    )

    class Meta:
        model = AuditLog
        fields = [
            "id", "created_at", "action", "actor", "entity_type", "entity_id", "before", "after", "ip",
            "user_agent", "request_id",
        ]  # fmt: skip


class AuditFilter(filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    action = filters.MultipleChoiceFilter(choices=Action.choices, distinct=False)
    entity_id = filters.CharFilter(label="id of what was changed")
    actor = filters.CharFilter(method="by_actor", label="e-mail")
    request_id = filters.CharFilter()
    search = filters.CharFilter(
        method="matching", label="order number, ERP number, file name, id, e-mail or request id"
    )
    created_after = InstantFilter(field_name="created_at", lookup_expr="gte")
    created_before = InstantFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = AuditLog
        fields = ["action", "entity_id", "request_id"]

    def matching(self, entries: QuerySet[AuditLog], name: str, text: str) -> QuerySet[AuditLog]:
        return search(entries, signed_in(self.request), text)

    def by_actor(self, entries: QuerySet[AuditLog], name: str, email: str) -> QuerySet[AuditLog]:
        # With a join the database would read the whole log for a user without entries.
        who = list(User.objects.by_email(email).values_list("pk", flat=True))
        return entries.filter(actor__in=who)


class AuditEntries(Strict, mixins.ListModelMixin, viewsets.GenericViewSet[AuditLog]):
    """Audit entries: who did what, when, from where; newest first."""

    queryset = AuditLog.objects.all()
    serializer_class = AuditOut
    pagination_class = NewestFirst
    filterset_class = AuditFilter
    permission_classes = [Requires(Capability.AUDIT)]

    def get_queryset(self) -> QuerySet[AuditLog]:
        return AuditLog.objects.visible_to(signed_in(self.request)).select_related("actor")
