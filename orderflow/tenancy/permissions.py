"""Capabilities as REST framework permissions: ``permission_classes = [Requires(Capability.PUSH)]``."""

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from orderflow.tenancy.models import User
from orderflow.tenancy.roles import Capability


def Requires(capability: Capability) -> type[BasePermission]:  # noqa: N802  # reads as the class it makes
    class HasCapability(BasePermission):
        message = f"Your role does not include the right to {capability}."

        def has_permission(self, request: Request, view: APIView) -> bool:
            return isinstance(request.user, User) and request.user.can(capability)

    return HasCapability
