"""Redirect users who must have a second factor and have none to its setup page."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse

from orderflow.api_errors import envelope
from orderflow.second_factor.api import SecondFactorMissing
from orderflow.second_factor.services import lacks_one

OPEN = ("admin:second_factor", "admin:logout", "set_language")


class SecondFactorMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated and lacks_one(request.user) and not _is_open(request.path):
            return _refusal(request)
        return self.get_response(request)


def _is_open(path: str) -> bool:
    return path in {reverse(name) for name in OPEN}


def _refusal(request: HttpRequest) -> HttpResponse:
    if request.path.startswith("/api/"):
        missing = SecondFactorMissing()
        return JsonResponse(envelope(403, str(missing.detail), code=missing.api_code), status=403)
    return redirect("admin:second_factor")
