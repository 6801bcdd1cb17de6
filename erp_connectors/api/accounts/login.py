"""E-mail and password for a token; one's tokens listed and revoked."""

from datetime import timedelta
from typing import Any

from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_logged_in
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erp_connectors.api.accounts.authentication import ByToken
from erp_connectors.api.accounts.throttles import LoginThrottle
from erp_connectors.api.common.input_fields import OneLineText, WholeNumber
from erp_connectors.api.common.parsing import KnownFieldsOnly, StrictJSON
from erp_connectors.api.common.strict import Strict, takes_body
from orderflow.accounts.models import Token
from orderflow.accounts.users import AccessChanged, lock_unchanged
from orderflow.second_factor.api import check_code
from orderflow.tenancy import scope
from orderflow.tenancy.models import User
from orderflow.tenancy.permissions import signed_in

TOKENS_KEPT = 20
MAX_DAYS = 365


class Credentials(KnownFieldsOnly, serializers.Serializer[Any]):
    email = serializers.EmailField(max_length=254)
    password = serializers.CharField(trim_whitespace=False, write_only=True, max_length=1000)
    code = serializers.CharField(
        default="",
        allow_blank=True,
        write_only=True,
        max_length=40,
        help_text="of the second factor, where the account has one; a recovery code works, too, once",
    )
    name = OneLineText(
        max_length=100, default="", allow_blank=True, help_text="what the token is for; shown in the list"
    )
    expires_in_days = WholeNumber(min_value=1, max_value=MAX_DAYS, default=90)


class TokenOut(serializers.ModelSerializer[Token]):
    id = serializers.UUIDField(source="public_id", read_only=True)
    current = serializers.SerializerMethodField(help_text="this request was made with it")

    class Meta:
        model = Token
        fields = ["id", "name", "created", "expiry", "current"]

    def get_current(self, token: Token) -> bool:
        used = self.context["request"].auth
        return isinstance(used, Token) and used.pk == token.pk


class NewToken(serializers.Serializer[Any]):
    token = serializers.CharField(help_text="shown this once; only its hash is kept")
    id = serializers.UUIDField()
    name = serializers.CharField()
    expiry = serializers.DateTimeField()


class Login(Strict, APIView):
    """Send the token as ``Authorization: Token …`` from then on."""

    permission_classes = [AllowAny]
    authentication_classes = []
    parser_classes = [StrictJSON]
    throttle_classes = [LoginThrottle]

    @extend_schema(operation_id="login", tags=["auth"], request=Credentials, responses=NewToken)
    @scope.everything()  # before the login there is no user, and it may be any org's
    @takes_body
    def post(self, request: Request) -> Response:
        credentials = Credentials(data=request.data)
        credentials.is_valid(raise_exception=True)
        given = credentials.validated_data
        django_request = request._request  # noqa: SLF001  # backends want Django's request
        user = authenticate(django_request, username=given["email"], password=given["password"])
        if not isinstance(user, User):
            raise AuthenticationFailed("E-mail or password is wrong.")
        check_code(user, given["code"], django_request)
        kept, token = _new_token(user, given)
        user_logged_in.send(sender=type(user), request=django_request, user=user)
        answer = {"token": token, "id": kept.public_id, "name": kept.name, "expiry": kept.expiry}
        return Response(NewToken(answer).data)


class Logout(Strict, APIView):
    """Revoke the token that this request was made with."""

    permission_classes = [IsAuthenticated]
    authentication_classes = [ByToken]

    @extend_schema(operation_id="logout", tags=["auth"], request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        request.auth.delete()
        return Response(status=204)


class Tokens(Strict, mixins.ListModelMixin, mixins.DestroyModelMixin, viewsets.GenericViewSet[Token]):
    """One's own tokens; nobody sees another's."""

    queryset = Token.objects.all()
    serializer_class = TokenOut
    pagination_class = None
    filter_backends: list[Any] = []
    permission_classes = [IsAuthenticated]
    lookup_field = "public_id"
    lookup_url_kwarg = "id"
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Token]:
        good = Q(expiry__gt=timezone.now()) | Q(expiry=None)
        found: QuerySet[Token] = Token.objects.filter(good, user=signed_in(self.request))
        return found.order_by("-created")


def _new_token(user: User, given: dict[str, Any]) -> tuple[Token, str]:
    """Raises `AuthenticationFailed` if the account changed after its password and code were checked."""
    with transaction.atomic():
        try:
            lock_unchanged(user)
        except AccessChanged:
            raise AuthenticationFailed("The account was changed during this login. Log in again.") from None
        kept, token = Token.objects.create(
            user=user, expiry=timedelta(days=given["expires_in_days"]), name=given["name"]
        )
        _drop_oldest(user)
    return kept, token


def _drop_oldest(user: User) -> None:
    """A program that logs in before every call must not pile up tokens for ever."""
    tokens = Token.objects.filter(user=user)
    newest = tokens.order_by("-created").values_list("pk", flat=True)[:TOKENS_KEPT]
    tokens.exclude(pk__in=list(newest)).delete()
