"""``Idempotency-Key`` on what changes something: repeating a request that was cut off is safe."""

import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar

import msgspec
from django.http import HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.encoding import escape_uri_path
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erp_connectors.api.common.strict import KEY, HandlerT, honours
from orderflow.idempotency.services import IdempotentRequest, StoredResponse, fingerprint, once
from orderflow.input_rules.keys import KEY_FIELDS, normal_form
from orderflow.tenancy.permissions import signed_in

HEADER = OpenApiParameter(
    KEY,
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x20-\\x7e]+$"},
    OpenApiParameter.HEADER,
    description="1 to 255 printable ASCII characters. Repeat a request with its key and get the same answer.",
)
SANE_KEY = re.compile(r"[\x20-\x7e]{1,255}")
REPLAYED = "Idempotency-Replayed"

ViewT = TypeVar("ViewT", bound=APIView)
P = ParamSpec("P")


class CreatedRow(NamedTuple):
    """The object that an answer is about: the name of its route, and which key of the answer has its id."""

    route: str
    key: str

    def headers(self, answer: Mapping[str, Any]) -> dict[str, str]:
        return {"Location": reverse(self.route, args=[answer[self.key]])}


def locates(made: CreatedRow | None) -> Callable[[HandlerT], HandlerT]:
    """Declare what the Location header of an answer leads to, for the description."""

    def decorate(handler: HandlerT) -> HandlerT:
        handler.location = made  # type: ignore[attr-defined]
        return handler

    return decorate


def idempotent(
    *, repeated_status: int | None = None, location: CreatedRow | None = None
) -> Callable[
    [Callable[Concatenate[ViewT, Request, P], Response]],
    Callable[Concatenate[ViewT, Request, P], HttpResponseBase],
]:
    """``repeated_status``: of a repeated answer, where it differs from the first one's. ``location``: what was made."""

    def decorate(
        view: Callable[Concatenate[ViewT, Request, P], Response],
    ) -> Callable[Concatenate[ViewT, Request, P], HttpResponseBase]:
        @honours(KEY)
        @wraps(view)
        def keyed(self: ViewT, request: Request, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            key = idempotency_key(request)
            if key is None:
                response = view(self, request, *args, **kwargs)
                for name, value in (location.headers(response.data) if location else {}).items():
                    response[name] = value
                return response
            answer, again = once(_keyed(request, key), lambda: _answer(view(self, request, *args, **kwargs)))
            status = repeated_status if again and repeated_status else answer.status
            headers = {REPLAYED: "true"} if again else {}
            headers |= location.headers(msgspec.json.decode(answer.body)) if location else {}
            return HttpResponse(answer.body, status=status, content_type="application/json", headers=headers)

        return locates(location)(keyed)

    return decorate


def idempotency_key(request: Request) -> str | None:
    key = request.headers.get(KEY)
    if key is not None and not SANE_KEY.fullmatch(key):
        raise ValidationError({KEY: ["Send 1 to 255 printable ASCII characters."]})
    return key


def _keyed(request: Request, key: str) -> IdempotentRequest:
    user = signed_in(request)
    return IdempotentRequest(
        scope=f"org {user.org_id}" if user.org_id else f"user {user.pk}",
        # As it was sent: no database column holds a zero byte.
        operation=f"{request.method} {escape_uri_path(request.path)}"[:200],
        key=key,
        fingerprint=fingerprint(
            request.META.get("QUERY_STRING", "").encode(), JSONRenderer().render(_sorted(request.data))
        ),
    )


def _sorted(value: Any, name: str = "") -> Any:
    """Return the value with its objects' keys in order, and what identifies an order in its normal form."""
    if isinstance(value, dict):
        return {str(key): _sorted(value[key], str(key)) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return normal_form(value) if name in KEY_FIELDS and isinstance(value, str) else value


def _answer(response: Response) -> StoredResponse:
    return StoredResponse(response.status_code, JSONRenderer().render(response.data).decode())
