"""The OpenAPI description: what every operation may answer, and an example of each request and answer."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiResponse
from rest_framework import serializers
from rest_framework.permissions import SAFE_METHODS

from erp_connectors.api.examples import EXAMPLES, refusal
from erp_connectors.api.parsing import KnownFieldsOnly, SomethingIn

REFUSALS = {
    "401": "No token or session, or one that is revoked, expired or wrong; at a login also CODE_REQUIRED, CODE_WRONG.",
    "403": "Your role does not include it, or a session came without its CSRF token; SECOND_FACTOR_MISSING.",
    "404": "There is no such object, or it is another org's.",
    "409": "Not possible as things stand; the message says why.",
    "410": "Retention has removed the content; details hold the code and when.",
    "422": "The request is not valid; details name the fields.",
    "429": "Too many; wait for Retry-After seconds.",
    "500": "A bug: report it with the request_id.",
    "502": "The archive or a server did not answer; details hold the code and a hint.",
    "503": "The database does not answer; wait for Retry-After seconds and send the request again.",
}


class ErrorBody(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField(help_text="for people")
    details = serializers.DictField(help_text="by field, where fields are the matter")
    request_id = serializers.CharField(help_text="finds the request in the log")


class Error(serializers.Serializer[Any]):
    error = ErrorBody()


class Described(AutoSchema):
    def _get_examples(
        self, serializer: Any, direction: str, media_type: str, status_code: Any = None, extras: Any = None
    ) -> Any:
        inner = getattr(serializer, "child", serializer)
        value = EXAMPLES.get((inner if isinstance(inner, type) else type(inner)).__name__)
        own = super()._get_examples(serializer, direction, media_type, status_code, extras)  # type: ignore[no-untyped-call]
        if own or value is None:
            return own
        code = status_code and (str(status_code),)
        extras = [OpenApiExample("example", value=value, media_type=media_type, status_codes=code)]
        return super()._get_examples(serializer, direction, media_type, status_code, extras)  # type: ignore[no-untyped-call]

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        for code in self._refusals():
            if code not in bodies:
                bodies[code] = self._refusal(code)
        return dict(sorted(bodies.items()))

    def _refusals(self) -> list[str]:
        with_id, changes = "{" in self.path, self.method not in SAFE_METHODS
        possible = {
            "401": self.get_auth() != [{}] or self.path.endswith("login"),
            "403": self.get_auth() != [{}] or self.path.endswith("login"),
            "404": with_id,
            "409": changes,
            "410": self.path.endswith("payload"),
            "422": True,
            "429": changes,
            "500": True,
            "502": changes or self.path.endswith("payload"),
            "503": True,
        }
        return [code for code, is_possible in possible.items() if is_possible]

    def _refusal(self, code: str) -> Any:
        example = OpenApiExample("example", value=refusal(int(code)))
        answer = OpenApiResponse(Error, REFUSALS[code], examples=[example])
        body = self._get_response_for_code(answer, code, ["application/json"])  # type: ignore[no-untyped-call]
        if code in ("429", "503"):
            body["headers"] = {"Retry-After": {"schema": {"type": "string"}, "description": "seconds"}}
        return body

    def _map_serializer_field(self, field: Any, direction: Any, bypass_extensions: bool = False) -> Any:
        if isinstance(field, serializers.JSONField):
            return {"type": ["object", "null"] if field.allow_null else "object"}
        return super()._map_serializer_field(field, direction, bypass_extensions)  # type: ignore[no-untyped-call]

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> Any:
        """An answer has all its fields, always; a request only those there are, where others are refused."""
        schema = super()._map_basic_serializer(serializer, direction)  # type: ignore[no-untyped-call]
        if direction == "request" and isinstance(serializer, KnownFieldsOnly):
            schema["additionalProperties"] = False
        if direction == "request" and isinstance(serializer, SomethingIn):
            schema["minProperties"] = 1
        if direction == "response" and schema.get("properties"):
            schema["required"] = sorted(schema["properties"])
        return schema
