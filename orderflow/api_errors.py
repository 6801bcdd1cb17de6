"""The one shape of every API error: ``{"error": {"code", "message", "reason", "details", "request_id"}}``."""

from typing import Any

from orderflow.audit.context import current
from orderflow.messages import Message

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


def envelope(
    http_status: int,
    message: str,
    details: Any = None,
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
