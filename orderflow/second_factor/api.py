"""Errors of the API about second factors, and the check of a code at its login."""

from django.http import HttpRequest
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied

from orderflow.second_factor import services
from orderflow.tenancy.models import User

ONLY_RECOVERY = (
    "After too many wrong codes only a recovery code is accepted. Or have the second factor reset."
)


class CodeRequired(AuthenticationFailed):
    """The password was right."""

    api_code = "CODE_REQUIRED"
    default_detail = "This account has a second factor: send its code, or a recovery code, as code, too."


class CodeWrong(AuthenticationFailed):
    api_code = "CODE_WRONG"
    default_detail = "The code is wrong, or was used before. Wait for the next one."


class SecondFactorMissing(PermissionDenied):
    api_code = "SECOND_FACTOR_MISSING"
    default_detail = "This account needs a second factor: log in to the admin in a browser to set it up."


def check_code(person: User, code: str, request: HttpRequest) -> None:
    """After the password. Raises `CodeRequired`, `CodeWrong`, `SecondFactorMissing`."""
    require_where_needed(person)
    if not services.has_one(person):
        return
    if not code:
        raise CodeRequired
    if not services.passes(person, code, request):
        raise CodeWrong(ONLY_RECOVERY if services.takes_recovery_codes_only(person) else None)


def require_where_needed(person: User) -> None:
    """Raises `SecondFactorMissing`."""
    if services.lacks_one(person):
        raise SecondFactorMissing
