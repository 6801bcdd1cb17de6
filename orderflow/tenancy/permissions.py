"""Capabilities as REST framework permissions: ``permission_classes = [Requires(Capability.PUSH)]``."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from orderflow.tenancy.models import User
from orderflow.tenancy.roles import CAPABILITY_ACTIONS, Capability


def Requires(capability: Capability) -> type[BasePermission]:  # noqa: N802  # reads as the class it makes
    class HasCapability(BasePermission):
        message = f"Your role does not allow you to {CAPABILITY_ACTIONS[capability]}."

        def has_permission(self, request: Request, view: APIView) -> bool:
            return isinstance(request.user, User) and request.user.can(capability)

    return HasCapability


def signed_in(request: HttpRequest | Request) -> User:
    """The user behind a request that needs one. Raises `PermissionDenied`."""
    if not isinstance(request.user, User):
        raise PermissionDenied("Log in first.")
    return request.user
