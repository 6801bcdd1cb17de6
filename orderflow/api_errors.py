"""The one shape of every API error: ``{"error": {"code", "message", "reason", "details", "request_id"}}``."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from orderflow.audit.context import current
from orderflow.messages import FOREIGN_TEXT, Message, english

CODES = {
    401: "AUTH_REQUIRED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "VALIDATION_ERROR",
    409: "CONFLICT",
    410: "GONE",
    412: "PRECONDITION_FAILED",
    422: "VALIDATION_ERROR",
    429: "RATE_LIMITED",
    500: "INTERNAL_ERROR",
    502: "DEPENDENCY_ERROR",
    503: "UNAVAILABLE",
}

# By field: what is wrong with it, as a code and as an English text.
Details: TypeAlias = dict[str, list[dict[str, str]]]
# The field of a problem of the whole request.
BODY = "body"
# REST framework's name for the problems of an object as a whole.
OF_WHOLE_OBJECT = "non_field_errors"


def problem(field: str, message: Message | str, *, code: str = "invalid") -> Details:
    """Return the details of one problem. A message has its own code, unless it is only a text."""
    return {field: [_entry(message, code)]}


def details_of(errors: Any) -> Details:
    """Return nested errors, as REST framework and Django have them, by field; ``lines.0.qty`` is within a list."""
    found: Details = {}
    for path, entry in _entries(errors, ()):
        names = (name for name in path if name != OF_WHOLE_OBJECT)
        found.setdefault(".".join(names) or BODY, []).append(entry)
    return found


def _entries(errors: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], dict[str, str]]]:
    for name, inner in _parts(errors):
        if isinstance(inner, Mapping | list | tuple):
            yield from _entries(inner, (*path, *name))
        else:
            # A problem in a list is the list's own; its place says nothing.
            own = path if not isinstance(errors, Mapping) else (*path, *name)
            yield own, _entry(inner, "invalid")


def _parts(errors: Any) -> Iterable[tuple[tuple[str, ...], Any]]:
    if isinstance(errors, Mapping):
        return [((str(name),), inner) for name, inner in errors.items()]
    if isinstance(errors, list | tuple):
        return [((str(place),), inner) for place, inner in enumerate(errors)]
    return [((), errors)]


def _entry(error: Any, code: str) -> dict[str, str]:
    if isinstance(error, Message):
        return {"code": code if error.code == FOREIGN_TEXT else error.code, "message": english(error)}
    return {"code": str(getattr(error, "code", None) or code), "message": str(error)}


def envelope(
    http_status: int,
    message: str,
    details: Details | None = None,
    *,
    code: str | None = None,
    reason: Message | None = None,
) -> dict[str, Any]:
    """Return an error's body. ``reason``: the message as data, if a use case refused the request."""
    return {
        "error": {
            "code": code or CODES.get(http_status, "VALIDATION_ERROR"),
            "message": message,
            "reason": reason.as_json() if reason else None,
            "details": details or {},
            "request_id": current.get().request_id,
        }
    }
