"""The token in the header."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from knox.auth import TokenAuthentication
from rest_framework.exceptions import AuthenticationFailed

from erp_connectors.api.second_factor import require_where_needed


class ByToken(TokenAuthentication):  # type: ignore[misc]  # knox has no types
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
            "description": "`Token …`, with what `auth/login` answered",
        }
