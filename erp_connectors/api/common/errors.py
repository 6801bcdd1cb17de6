"""One shape for every error: ``{"error": {"code", "message", "reason", "details", "request_id"}}``."""

import sys
from math import ceil
from typing import Any, TypeAlias

import structlog
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template import loader
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import set_rollback

from erp_connectors.archive import PayloadRemoved
from erp_connectors.config_fields import ConfigError
from erp_connectors.faults import Fault
from erp_connectors.registry import UnknownConnectorType
from erp_connectors.services.acks.manual_answers import InvalidAnswer
from orderflow import outage
from orderflow.api_errors import CODES, Details, details_of, envelope, problem
from orderflow.idempotency.services import RETRY_AFTER_SECONDS, KeyReused, StillRunning
from orderflow.messages import Message, Refusal
from orderflow.orders.approval import NotReady

# With those of `second_factor`, and of `gunicorn_worker` (TIMEOUT).
ALL_CODES = sorted({*CODES.values(), "TIMEOUT", "CODE_REQUIRED", "CODE_WRONG", "SECOND_FACTOR_MISSING"})
ERROR_CODES = [(code, code) for code in ALL_CODES]
AWAY = "The database does not answer. Send the request again in a few seconds."
FAILED = "Something went wrong here. Report it with the request_id."
INVALID = "The request is not valid; details name the fields."
UNPROCESSABLE = status.HTTP_422_UNPROCESSABLE_ENTITY

Answer: TypeAlias = tuple[int, str, Details | None]

log = structlog.get_logger(__name__)


def handle(error: Exception, context: dict[str, Any]) -> Response:
    """Convert an error to a response. An unexpected error is logged with its trace and shows no internals."""
    answer = _answer(error)
    headers = {}
    if answer is None and outage.is_outage(error):
        log.warning("api.database_away", error=str(error))
        answer = 503, AWAY, None
        headers["Retry-After"] = str(outage.RETRY_AFTER_SECONDS)
    if answer is None:
        log.error("api.failed", exc_info=error)
        answer = 500, FAILED, None
    http_status, message, details = answer
    set_rollback()
    if isinstance(error, StillRunning):
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if isinstance(error, exceptions.APIException):
        if header := getattr(error, "auth_header", None):
            headers["WWW-Authenticate"] = header
        if wait := getattr(error, "wait", None):
            headers["Retry-After"] = str(max(1, ceil(wait)))
    reason = _reason(error)
    body = envelope(http_status, message, details, code=getattr(error, "api_code", None), reason=reason)
    response = Response(body, status=http_status, headers=headers)
    # Django would log what we logged above a second time, without its trace.
    response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001
    return response


def _reason(error: Exception) -> Message | None:
    if isinstance(error, Refusal | PayloadRemoved):
        return error.message
    return error.as_message() if isinstance(error, Fault) else None


def _answer(error: Exception) -> Answer | None:
    if isinstance(error, NotReady):
        return UNPROCESSABLE, str(error), details_of({"missing": error.missing})
    if isinstance(error, Refusal):
        return 409, str(error), None
    if isinstance(error, Fault | PayloadRemoved):
        return _content_answer(error)
    if isinstance(error, exceptions.APIException):
        return _framework_answer(error)
    if isinstance(error, InvalidAnswer):
        return UNPROCESSABLE, INVALID, details_of(error.problems)
    return _key_answer(error) or _config_answer(error) or _access_answer(error)


def _content_answer(error: Fault | PayloadRemoved) -> Answer:
    if isinstance(error, PayloadRemoved):
        return 410, str(error), None
    return 502, f"{error.message} {error.kind.hint}", None


def _key_answer(error: Exception) -> Answer | None:
    if isinstance(error, StillRunning):
        return 409, "The first request with this Idempotency-Key is still at work: ask again.", None
    if isinstance(error, KeyReused):
        told = "It was sent before with another request. Use a new key for a new request."
        details = problem("Idempotency-Key", told, code="key_reused")
        return UNPROCESSABLE, "The Idempotency-Key was used before.", details
    return None


def _config_answer(error: Exception) -> Answer | None:
    if isinstance(error, ConfigError):
        return UNPROCESSABLE, "The config is not valid; details name the keys.", details_of(error.problems)
    if isinstance(error, UnknownConnectorType):
        return UNPROCESSABLE, str(error), problem("connector_type", error.message)
    if isinstance(error, ValidationError) and hasattr(error, "error_dict"):
        return UNPROCESSABLE, INVALID, _django_details(error)
    return None


def _django_details(error: ValidationError) -> Details:
    return {
        field: [{"code": one.code or "invalid", "message": " ".join(one.messages)} for one in errors]
        for field, errors in error.error_dict.items()
    }


def _access_answer(error: Exception) -> Answer | None:
    if isinstance(error, Http404 | ObjectDoesNotExist):
        return 404, "There is no such object.", None
    if isinstance(error, PermissionDenied):
        return 403, "Your role does not allow this.", None
    return None


def _framework_answer(error: exceptions.APIException) -> Answer:
    if isinstance(error, exceptions.ValidationError):
        return UNPROCESSABLE, INVALID, details_of(error.detail)
    if isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        return 401, str(error.detail), None
    if isinstance(error, exceptions.ParseError):
        return UNPROCESSABLE, str(error.detail), details_of(error.detail)
    if isinstance(error, exceptions.UnsupportedMediaType):
        return UNPROCESSABLE, str(error.detail), None
    return error.status_code, str(error.detail), None


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith("/api/"):
        return JsonResponse(envelope(400, "The request is malformed, or for a host this is not."), status=400)
    return defaults.bad_request(request, exception)


@csrf_exempt  # or a program would read a page about cookies
def no_such_route(request: HttpRequest) -> HttpResponse:
    """The last of the API's routes, so that DEBUG changes nothing for programs."""
    return not_found(request, Http404())


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith("/api/"):
        return JsonResponse(envelope(404, f"There is nothing at {request.path}."), status=404)
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    if outage.is_outage(sys.exc_info()[1]):
        return _unavailable(request)
    if request.path.startswith("/api/"):
        return JsonResponse(envelope(500, FAILED), status=500)
    return defaults.server_error(request)


def _unavailable(request: HttpRequest) -> HttpResponse:
    """Read nothing from the database: the page knows no user."""
    if request.path.startswith("/api/"):
        response: HttpResponse = JsonResponse(envelope(503, AWAY), status=503)
    else:
        response = HttpResponse(loader.get_template("503.html").render(), status=503)
    response["Retry-After"] = str(outage.RETRY_AFTER_SECONDS)
    return response
