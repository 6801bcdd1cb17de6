"""Times in the admin as the clock on the viewer's wall shows them: the browser says its zone in a cookie."""

from collections.abc import Callable
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

COOKIE = "time_zone"
PAGES = "/admin/"


class ViewerZoneMiddleware:
    """Activate the time zone in the viewer's cookie, else TIME_ZONE. The API always uses UTC."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        name = request.COOKIES.get(COOKIE, "")
        if not request.path.startswith(PAGES) or name not in _known():
            return self.get_response(request)
        with timezone.override(ZoneInfo(name)):
            return self.get_response(request)


@cache
def _known() -> frozenset[str]:
    return frozenset(available_timezones())
