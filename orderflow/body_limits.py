"""Requests that no page of ours and no program needs are refused before anything of them is read."""

from collections.abc import Callable
from io import BytesIO

import structlog
from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from orderflow.api_errors import envelope, problem
from orderflow.search.normal_form import count_words

METHODS = ("GET", "HEAD", "POST", "OPTIONS")
# The API's own views answer for their methods; these are never an answer to anything.
NEVER = ("TRACE", "TRACK", "CONNECT")
_PIECE = 64 * 1024
# The search box of the admin, its choices as one types, and the API's lists.
SEARCHES = ("q", "term", "search")
MAX_WORDS = 50

log = structlog.get_logger(__name__)


class LimitsMiddleware:
    """Refuse other methods (405), bodies above DATA_UPLOAD_MAX_MEMORY_SIZE (413) and searches of many words (422).

    Read a body of unknown length (`Transfer-Encoding: chunked`) here. Under WSGI, Django and REST framework take a
    request without Content-Length for one without a body. If the server does not mark the end of such a body, refuse
    the request (411).
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return _refused(request) or self.get_response(request)


def _refused(request: HttpRequest) -> HttpResponse | None:
    if request.method in NEVER or (not _is_program(request) and request.method not in METHODS):
        return HttpResponseNotAllowed(METHODS)
    # Each word is a condition, and SQLite takes 1,000.
    if any(count_words(text) > MAX_WORDS for name in SEARCHES for text in request.GET.getlist(name)):
        return _too_many_words(request)
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if "HTTP_TRANSFER_ENCODING" in request.META:
        return _read_chunked(request, most)
    if _length(request) > most:
        return _too_large(request, most)
    return None


def _too_many_words(request: HttpRequest) -> HttpResponse:
    if _is_program(request):
        details = problem("search", f"Write at most {MAX_WORDS} words.", code="max_words")
        return JsonResponse(envelope(422, "The request is not valid.", details), status=422)
    said = _("A search may have %(most)d words. Search for an order number, a customer or a file name.")
    return render(request, "413.html", {"said": said % {"most": MAX_WORDS}}, status=422)


def _is_program(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


def _length(request: HttpRequest) -> int:
    length = request.META.get("CONTENT_LENGTH") or "0"
    return int(length) if length.isascii() and length.isdigit() else 0


def _read_chunked(request: HttpRequest, most: int) -> HttpResponse | None:
    """Replace the body by a copy of known length. Raise `BadRequest` if it breaks off."""
    if not request.META.get("wsgi.input_terminated"):
        return _length_required(request)
    body = _read(request.META["wsgi.input"], most + 1)
    if len(body) > most:
        return _too_large(request, most)
    request.META["CONTENT_LENGTH"] = str(len(body))
    # Django has wrapped the server's stream already, and has no public way to replace it.
    request.META["wsgi.input"] = request._stream = BytesIO(body)  # noqa: SLF001
    return None


def _read(stream: BytesIO, most: int) -> bytes:
    pieces: list[bytes] = []
    left = most
    try:
        while left and (piece := stream.read(min(_PIECE, left))):
            pieces.append(piece)
            left -= len(piece)
    except Exception as error:  # each WSGI server has exceptions of its own for a broken body
        log.info("request.body_broken", error=repr(error))
        raise BadRequest("The body is not complete.") from error
    return b"".join(pieces)


def _length_required(request: HttpRequest) -> HttpResponse:
    if _is_program(request):
        return JsonResponse(envelope(411, "Send the body with its Content-Length."), status=411)
    return HttpResponse(status=411)


def _too_large(request: HttpRequest, most: int) -> HttpResponse:
    if _is_program(request):
        return JsonResponse(envelope(413, f"The body is larger than {most} bytes."), status=413)
    said = _("The request is larger than %(most)d MB. Nothing was saved. Send it in smaller parts.")
    return render(request, "413.html", {"said": said % {"most": most // 1024**2}}, status=413)
