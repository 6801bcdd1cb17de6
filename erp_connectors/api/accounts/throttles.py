"""Rate limits. Logins and changes are counted in the database, so that all processes count together."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from rest_framework.throttling import AnonRateThrottle, BaseThrottle

from orderflow.accounts.lockout import place
from orderflow.accounts.models import ThrottleCount

if TYPE_CHECKING:  # the views import their throttles
    from rest_framework.request import Request
    from rest_framework.views import APIView

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
MINUTE = timedelta(minutes=1)


class Throttle(BaseThrottle):
    _wait: timedelta | None = None

    def wait(self) -> float | None:
        return self._wait.total_seconds() if self._wait else None

    def counted(self, key: str, limit: int) -> bool:
        self._wait = ThrottleCount.wait(key, limit=limit, per=MINUTE)
        return self._wait is None


class LoginThrottle(Throttle):
    """Logins from one address, right or wrong: each costs the hashing of a password."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        return self.counted(f"login:{place(request._request)}", settings.LOGINS_PER_MINUTE)  # noqa: SLF001


class WriteThrottle(Throttle):
    """Limit the changes by the programs of one user."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        if request.method in SAFE_METHODS or not request.user.is_authenticated:
            return True
        return self.counted(f"writes:{request.user.pk}", settings.WRITES_PER_MINUTE)


class PublicThrottle(AnonRateThrottle):
    """Limit public reads from one address.

    Each process counts by itself, in memory: a count in the database would cost more than such an answer.
    """

    rate = "120/min"

    def get_ident(self, request: Request) -> str:
        return str(place(request._request))  # noqa: SLF001
