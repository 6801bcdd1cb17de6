"""Requests that no page of ours and no program needs are refused before anything of them is read."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from erp_connectors.api.errors import envelope

METHODS = ("GET", "HEAD", "POST", "OPTIONS")
# The API's own views answer for their methods; these are never an answer to anything.
NEVER = ("TRACE", "TRACK", "CONNECT")


class LimitsMiddleware:
    """405 for other methods, 413 for a larger body than DATA_UPLOAD_MAX_MEMORY_SIZE, whatever its kind.

    A body of unknown length never comes here: WSGI servers hand over none without its length.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return _refused(request) or self.get_response(request)


def _refused(request: HttpRequest) -> HttpResponse | None:
    program = request.path.startswith("/api/")
    if request.method in NEVER or (not program and request.method not in METHODS):
        return HttpResponseNotAllowed(METHODS)
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if _length(request) > most:
        return _too_large(request, most, program)
    return None


def _length(request: HttpRequest) -> int:
    told = request.META.get("CONTENT_LENGTH") or "0"
    return int(told) if told.isascii() and told.isdigit() else 0


def _too_large(request: HttpRequest, most: int, program: bool) -> HttpResponse:
    if program:
        return JsonResponse(envelope(413, f"The body is larger than {most} bytes."), status=413)
    said = _("What was sent is larger than %(most)d MB. Nothing was saved; send it in smaller parts.")
    return render(request, "413.html", {"said": said % {"most": most // 1024**2}}, status=413)
