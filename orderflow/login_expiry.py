"""End a login after a time without use, and in any case after some hours, also if a page keeps it busy."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY, logout
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from orderflow.tenancy import scope

BEGAN, USED = "login_began", "login_used"
# One write a minute is precise enough for the last activity of a user.
_NOTED_EVERY = 60


class LoginExpiryMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            now = int(timezone.now().timestamp())
            if _is_over(request.session, now):
                logout(request)
                scope.become(scope.NOTHING)
            else:
                _note(request.session, now)
        return self.get_response(request)


def _is_over(session: SessionBase, now: int) -> bool:
    idle = now - session.get(USED, now)
    return bool(
        idle > settings.LOGIN_IDLE_MINUTES * 60 or now - session.get(BEGAN, now) > settings.LOGIN_HOURS * 3600
    )


def _note(session: SessionBase, now: int) -> None:
    session.setdefault(BEGAN, now)
    if now - session.get(USED, 0) >= _NOTED_EVERY:
        session[USED] = now


def begin(*, request: HttpRequest, user: Any, **signal: Any) -> None:
    """Connected to logins: who logs in again has all their hours."""
    session: SessionBase | None = getattr(request, "session", None)
    # A login over the API has a token, and no session of its own.
    if session is not None and session.get(SESSION_KEY) == str(user.pk):
        session[BEGAN] = session[USED] = int(timezone.now().timestamp())


user_logged_in.connect(begin, dispatch_uid="login begins")
