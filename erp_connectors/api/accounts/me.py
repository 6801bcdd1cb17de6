"""The user of the request and their capabilities."""

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erp_connectors.api.common.strict import Strict
from orderflow.tenancy.models import User
from orderflow.tenancy.permissions import Requires, signed_in
from orderflow.tenancy.roles import Capability, Role


class OrgOut(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    slug = serializers.CharField()


class MeOut(serializers.ModelSerializer[User]):
    org = OrgOut(allow_null=True, help_text="null: platform staff, who see every org")
    role = serializers.ChoiceField(Role.choices, allow_null=True)
    capabilities = serializers.SerializerMethodField(help_text="what the role includes")

    class Meta:
        model = User
        fields = ["id", "email", "org", "role", "capabilities"]

    @extend_schema_field(
        serializers.ListField(child=serializers.ChoiceField([(one.value, one.value) for one in Capability]))
    )
    def get_capabilities(self, user: User) -> list[str]:
        return [capability for capability in Capability if user.can(capability)]


class Me(Strict, APIView):
    permission_classes = [Requires(Capability.READ)]

    @extend_schema(responses=MeOut)
    def get(self, request: Request) -> Response:
        """The user of the token."""
        return Response(MeOut(signed_in(request)).data)
