"""Where the current request comes from, for audit entries and log lines."""

import re
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import ip_address
from uuid import uuid4

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse

SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class RequestContext:
    request_id: str = ""
    ip: str | None = None
    user_agent: str = ""


_NO_REQUEST = RequestContext()
current: ContextVar[RequestContext] = ContextVar("request_context", default=_NO_REQUEST)


class RequestContextMiddleware:
    """Accepts or makes an ``X-Request-ID``, returns it, and binds it to the log lines of the request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        offered = request.headers.get("X-Request-ID", "")
        request_id = offered if SANE_REQUEST_ID.fullmatch(offered) else uuid4().hex
        context = RequestContext(
            request_id=request_id,
            ip=client_address(request),
            user_agent=request.headers.get("User-Agent", "").replace("\x00", "")[:300],
        )
        token = current.set(context)
        try:
            with structlog.contextvars.bound_contextvars(request_id=request_id):
                response = self.get_response(request)
        finally:
            current.reset(token)
        response["X-Request-ID"] = request_id
        return response


def client_address(request: HttpRequest) -> str | None:
    """The peer's address; behind proxies of ours, what the outermost of them saw. None where it is no address."""
    seen = request.META.get("REMOTE_ADDR", "")
    forwarded = request.headers.get("X-Forwarded-For", "").split(",")
    if settings.TRUSTED_PROXIES and forwarded != [""]:
        # What stands further left came from the client and may be made up.
        seen = forwarded[-min(settings.TRUSTED_PROXIES, len(forwarded))].strip()
    try:
        return str(ip_address(seen))
    except ValueError:
        return None
