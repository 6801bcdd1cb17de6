"""E-mail and password for a token; tokens are stored hashed and can be revoked."""

import hashlib
from typing import Any

from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_logged_in
from drf_spectacular.utils import extend_schema
from knox.models import get_token_model
from knox.settings import knox_settings
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import ScopedRateThrottle, SimpleRateThrottle
from rest_framework.views import APIView

from erp_connectors.api.parsing import StrictJSON
from orderflow.tenancy.models import User


class Credentials(serializers.Serializer[Any]):
    email = serializers.EmailField()
    password = serializers.CharField(trim_whitespace=False, write_only=True)


class TokenAnswer(serializers.Serializer[Any]):
    token = serializers.CharField()
    expiry = serializers.DateTimeField(allow_null=True)


class PerAccount(SimpleRateThrottle):
    """Guesses at one account, from however many addresses."""

    scope = "login"

    def get_cache_key(self, request: Request, view: APIView) -> str:
        email = str(request.data.get("email", "")) if isinstance(request.data, dict) else ""
        ident = hashlib.sha256(email.strip().lower().encode()).hexdigest()
        return self.cache_format % {"scope": "login-account", "ident": ident}


class Login(APIView):
    """Send the token as ``Authorization: Token …`` from then on."""

    permission_classes = [AllowAny]
    authentication_classes = []
    parser_classes = [StrictJSON]
    throttle_classes = [ScopedRateThrottle, PerAccount]
    throttle_scope = "login"

    @extend_schema(request=Credentials, responses=TokenAnswer)
    def post(self, request: Request) -> Response:
        credentials = Credentials(data=request.data)
        credentials.is_valid(raise_exception=True)
        user = authenticate(
            request._request,  # noqa: SLF001  # backends want Django's request
            username=credentials.validated_data["email"],
            password=credentials.validated_data["password"],
        )
        if user is None:
            raise AuthenticationFailed("E-mail or password is wrong.")
        stored, token = get_token_model().objects.create(user=user)
        _drop_oldest(user)
        user_logged_in.send(sender=type(user), request=request._request, user=user)  # noqa: SLF001
        return Response(TokenAnswer({"token": token, "expiry": stored.expiry}).data)


class Logout(APIView):
    """Revoke the token that this request was made with."""

    permission_classes = [IsAuthenticated]

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        if request.auth is not None:
            request.auth.delete()
        return Response(status=204)


def _drop_oldest(user: User) -> None:
    """A program that logs in before every call must not pile up tokens for ever."""
    tokens = get_token_model().objects.filter(user=user)
    newest = tokens.order_by("-created").values_list("pk", flat=True)[: knox_settings.TOKEN_LIMIT_PER_USER]
    tokens.exclude(pk__in=list(newest)).delete()
