"""Refuse what a request asks for and the route does not honour, instead of ignoring it: parameters and headers."""

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django_filters import rest_framework as filters
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.settings import api_settings

from erp_connectors.api.common.parsing import NO_SUCH_FIELD

if TYPE_CHECKING:
    from rest_framework.views import APIView as _View
else:
    _View = object

KEY = "Idempotency-Key"
CONDITIONS = ("If-Match", "If-Unmodified-Since")
# Each changes what a request means. If-None-Match and If-Modified-Since of a GET only permit a shorter answer.
HEADERS = (KEY, *CONDITIONS, "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")
HEADERS_OF_CHANGES = (*HEADERS, "If-None-Match", "Content-Range")
NOT_HONOURED = "This route does not honour the header. Send the request without it."

NO_BODY = "This route takes no body. Send none, or an empty object."

HandlerT = TypeVar("HandlerT", bound=Callable[..., Any])


def honours(*headers: str) -> Callable[[HandlerT], HandlerT]:
    """Declare which of `HEADERS_OF_CHANGES` a view's method honours."""

    def decorate(handler: HandlerT) -> HandlerT:
        handler.honoured_headers = headers  # type: ignore[attr-defined]
        return handler

    return decorate


def takes_body(handler: HandlerT) -> HandlerT:
    """Declare that a view's method reads the body, and so refuses fields that it does not know by itself."""
    handler.takes_body = True  # type: ignore[attr-defined]
    return handler


class Strict(_View):
    """A view that refuses parameters, headers and bodies that it would ignore. Every view of the API is one."""

    # Of a list: those of its filters and pages come beside these.
    query_parameters: ClassVar[Collection[str]] = ()
    paged_actions: ClassVar[Collection[str]] = ("list",)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Raise `ValidationError` once the caller is known; an answer must not depend on it before."""
        super().initial(request, *args, **kwargs)
        handler = getattr(self, (request.method or "").lower(), None)
        if handler is None:
            return
        problems = {
            **self._query_problems(request),
            **self._header_problems(request, handler),
            **self._body_problems(request, handler),
        }
        if problems:
            raise ValidationError(problems)

    def known_parameters(self) -> Mapping[str, bool]:
        """Return the name of each query parameter, and if it may be repeated."""
        known = dict.fromkeys([api_settings.URL_FORMAT_OVERRIDE, *self.query_parameters], False)
        action = getattr(self, "action", None)
        pages = getattr(self, "pagination_class", None)
        if action in self.paged_actions and pages is not None:
            known |= dict.fromkeys([pages.page_size_query_param, pages.cursor_query_param], False)
        if action == "list":
            declared = getattr(getattr(self, "filterset_class", None), "base_filters", {})
            many = filters.MultipleChoiceFilter
            known |= {name: isinstance(declared[name], many) for name in declared}
        return known

    def _query_problems(self, request: Request) -> dict[str, list[str]]:
        known, problems = self.known_parameters(), {}
        for name, values in request.query_params.lists():
            if name not in known:
                problems[name] = ["There is no such query parameter here."]
            elif len(values) > 1 and not known[name]:
                problems[name] = ["Give this parameter once."]
        return problems

    def _header_problems(self, request: Request, handler: Callable[..., Any]) -> dict[str, list[str]]:
        honoured = getattr(handler, "honoured_headers", ())
        watched = HEADERS if request.method in SAFE_METHODS else HEADERS_OF_CHANGES
        return {name: [NOT_HONOURED] for name in watched if name in request.headers and name not in honoured}

    def _body_problems(self, request: Request, handler: Callable[..., Any]) -> dict[str, list[str]]:
        """An empty object is what many clients send where there is nothing to say."""
        if request.method in SAFE_METHODS or getattr(handler, "takes_body", False):
            return {}
        body = request.data
        if isinstance(body, Mapping):
            return {str(name): [NO_SUCH_FIELD] for name in body}
        return {} if body is None else {"body": [NO_BODY]}
