"""The token in the header."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from knox.auth import TokenAuthentication
from rest_framework.authentication import get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from orderflow.second_factor.api import require_where_needed
from orderflow.tenancy import scope

# "Token" is the documented one; generated clients and gateways often know only the other.
SCHEMES = (b"token", b"bearer")


class ByToken(TokenAuthentication):  # type: ignore[misc]  # knox has no types
    def authenticate(self, request: Request) -> Any:
        """From here on the request sees the rows of whose token it is."""
        words = get_authorization_header(request).split()
        if not words or words[0].lower() not in SCHEMES:
            return None
        if len(words) != 2:
            raise AuthenticationFailed("Send the header as `Authorization: Token …`, without other words.")
        with scope.everything():
            found = self.authenticate_credentials(words[1])
        scope.become(scope.of_user(found[0]))
        return found

    def authenticate_credentials(self, token: bytes) -> Any:
        # knox hands what is no text to the decoder, and NUL to the database.
        if not token.isalnum():
            raise AuthenticationFailed("Invalid token.")
        user, kept = super().authenticate_credentials(token)
        require_where_needed(user)
        return user, kept


class ByTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = ByToken
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Token …` or `Bearer …`, with what `auth/login` answered",
        }
