"""The OpenAPI description: what every operation may answer, and an example of each request and answer."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiResponse
from rest_framework import serializers
from rest_framework.permissions import SAFE_METHODS

from erp_connectors.api.common.errors import ERROR_CODES
from erp_connectors.api.common.parsing import KnownFieldsOnly, SomethingIn, StrictFilters
from erp_connectors.api.common.strict import KEY
from erp_connectors.api.description import texts
from erp_connectors.api.description.examples import EXAMPLES, refusal
from erp_connectors.api.description.texts import OPERATIONS, Words

REFUSALS = {
    "401": "No token or session, or one that is revoked, expired or wrong; at a login also CODE_REQUIRED, CODE_WRONG.",
    "403": "Your role does not include it, or a session came without its CSRF token; SECOND_FACTOR_MISSING.",
    "404": "There is no such object, or it is another org's.",
    "409": "Not possible as things stand; the message says why.",
    "412": "The payload is not the one that If-Match or If-Unmodified-Since asks for.",
    "410": "Retention has removed the content; the reason says when.",
    "422": "The request is not valid; details name the fields.",
    "429": "Too many; wait for Retry-After seconds.",
    "500": "A bug: report it with the request_id.",
    "502": "The archive or a server did not answer; the reason is the fault.",
    "503": "The database does not answer; wait for Retry-After seconds and send the request again.",
}


class ReasonOut(serializers.Serializer[Any]):
    code = serializers.CharField(
        help_text="more exact than the error's code; the text is the error's message"
    )
    params = serializers.DictField(help_text="a parameter may be a message")


class ProblemOut(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField(help_text="in English")


class ErrorBody(serializers.Serializer[Any]):
    code = serializers.ChoiceField(ERROR_CODES)
    message = serializers.CharField(help_text="for people")
    reason = ReasonOut(allow_null=True, help_text="why a request that is valid failed; else null")
    details = serializers.DictField(
        child=serializers.ListField(child=ProblemOut()),
        help_text="what is wrong with each field; `lines.0.qty` is a field within a list",
    )
    request_id = serializers.CharField(help_text="finds the request in the log")


class Error(serializers.Serializer[Any]):
    error = ErrorBody()


def complete(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """drf-spectacular's hook after all operations: describe their tags; name the root without its slash."""
    paths = {path.rstrip("/"): operations for path, operations in result["paths"].items()}
    return {**result, "paths": paths, "tags": texts.TAGS}


def _forbid_empty_filters(operation: dict[str, Any]) -> None:
    """As `StrictFilters` does."""
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        plain = schema.get("type") == "string" and not {"enum", "format", "minLength"} & set(schema)
        if parameter["in"] == "query" and plain and parameter["name"] not in StrictFilters.may_be_empty:
            schema["minLength"] = 1


class Described(AutoSchema):
    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        if operation is not None:
            # An explicit nothing: without it generated clients ask for a token before one can log in.
            operation.setdefault("security", [])
            _forbid_empty_filters(operation)
        return operation

    def get_auth(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = super().get_auth()
        return [] if {} in found else found

    def get_summary(self) -> str:
        return self._words().summary

    def get_description(self) -> str:  # type: ignore[override]  # as drf-spectacular's
        return self._words().description or super().get_description()

    def _words(self) -> Words:
        return OPERATIONS.get(self.get_operation_id(), Words(""))

    @property
    def _handler(self) -> Any:
        return getattr(self.view, getattr(self.view, "action", None) or self.method.lower(), None)

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
        for code, body in bodies.items():
            body["headers"] = {**self._headers(code), **body.get("headers", {})}
        return dict(sorted(bodies.items()))

    def _headers(self, code: str) -> dict[str, Any]:
        keyed = KEY in getattr(self._handler, "honoured_headers", ())
        located = getattr(self._handler, "location", None) is not None
        wanted: dict[str, Mapping[str, Any]] = {
            "always": texts.REQUEST_ID,
            "replayed": texts.REPLAYED if keyed and code < "300" else {},
            "location": texts.LOCATION if located and code < "300" else {},
            "retry": texts.RETRY_AFTER if code in ("429", "503") or (keyed and code == "409") else {},
            "authenticate": texts.AUTHENTICATE if code == "401" else {},
            "etag": texts.ETAG if self.path.endswith("payload") and code in ("200", "304") else {},
        }
        return {name: header for headers in wanted.values() for name, header in headers.items()}

    def _refusals(self) -> list[str]:
        with_id, changes = "{" in self.path, self.method not in SAFE_METHODS
        knows_callers = bool(self.view.get_authenticators()) or self.path.endswith("login")
        possible = {
            "401": knows_callers,
            "403": knows_callers,
            "404": with_id,
            "409": changes,
            "410": self.path.endswith("payload"),
            "412": self.path.endswith("payload"),
            "422": True,
            "429": changes or self.get_auth() == [{}],
            "500": True,
            "502": changes or self.path.endswith("payload"),
            "503": True,
        }
        return [code for code, is_possible in possible.items() if is_possible]

    def _refusal(self, code: str) -> Any:
        example = OpenApiExample("example", value=refusal(int(code)))
        answer = OpenApiResponse(Error, REFUSALS[code], examples=[example])
        return self._get_response_for_code(answer, code, ["application/json"])  # type: ignore[no-untyped-call]

    def _map_serializer_field(self, field: Any, direction: Any, bypass_extensions: bool = False) -> Any:
        if isinstance(field, serializers.JSONField):
            return {"type": ["object", "null"] if field.allow_null else "object"}
        return super()._map_serializer_field(field, direction, bypass_extensions)  # type: ignore[no-untyped-call]

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> Any:
        """An answer has all its fields, always; a request only those there are, where others are refused."""
        schema = super()._map_basic_serializer(serializer, direction)  # type: ignore[no-untyped-call]
        # A serializer's docstring is for who reads the code.
        schema.pop("description", None)
        if direction == "request" and isinstance(serializer, KnownFieldsOnly):
            schema["additionalProperties"] = False
        if direction == "request" and isinstance(serializer, SomethingIn):
            schema["minProperties"] = 1
        if direction == "response" and schema.get("properties"):
            schema["required"] = sorted(schema["properties"])
        return schema
