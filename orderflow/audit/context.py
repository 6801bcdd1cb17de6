"""The origin of the current request, for audit entries and log lines."""

import re
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import ip_address
from uuid import uuid4

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

# Asked every few seconds by machines.
UNLOGGED_PATHS = {"/healthz", "/readyz", "/metrics"}
log = structlog.get_logger("orderflow.requests")
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
        began = time.perf_counter()
        try:
            with structlog.contextvars.bound_contextvars(request_id=request_id):
                response = self.get_response(request)
                _tell(request, response, time.perf_counter() - began)
        finally:
            current.reset(token)
        response["X-Request-ID"] = request_id
        return response


def _tell(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    """Log one line for each request, without its query: it may contain names."""
    if request.path in UNLOGGED_PATHS:
        return
    user = request.__dict__.get("user")
    if isinstance(user, SimpleLazyObject):
        # Nobody is asked for here who was not asked for already.
        user = request.__dict__.get("_cached_user")
    who = {"user_id": str(user.pk), "org_id": user.org_id and str(user.org_id)} if user and user.pk else {}
    log.info(
        "request",
        method=request.method,
        path=request.path,
        status=response.status_code,
        ms=round(seconds * 1000),
        **who,
    )


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
