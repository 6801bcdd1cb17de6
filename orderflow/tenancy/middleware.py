"""Restrict each request to the rows of its user's org."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from orderflow.tenancy import scope
from orderflow.tenancy.models import User


class OrgScopeMiddleware:
    """Stands right behind AuthenticationMiddleware. A token is read later, by the API: `ByToken` says then whose it is.

    What a response streams is made when this is over, and must take the context along.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with scope.everything():
            # Read the user here, once: the user's row is visible only to its org.
            user = request.user if request.user.is_authenticated else None
        with scope.within(scope.of_user(user) if isinstance(user, User) else scope.NOTHING):
            return self.get_response(request)
