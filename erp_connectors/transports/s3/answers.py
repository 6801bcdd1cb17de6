"""Errors of S3 requests as `Fault`. No text of botocore's is shown: it holds signed URLs."""

import ssl
from collections.abc import Iterator

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.parsers import ResponseParserError

from erp_connectors import faults
from erp_connectors.faults import Fault, FaultKind
from orderflow.messages import Message

MAX_TEXT = 200
# By the code of S3, or the status of an answer without a body (to HEAD).
KINDS: dict[str, FaultKind] = {
    "AccessDenied": faults.PERMISSION_DENIED,
    "AllAccessDisabled": faults.PERMISSION_DENIED,
    "MethodNotAllowed": faults.PERMISSION_DENIED,
    "403": faults.PERMISSION_DENIED,
    "InvalidAccessKeyId": faults.LOGIN_REFUSED,
    "SignatureDoesNotMatch": faults.LOGIN_REFUSED,
    "ExpiredToken": faults.LOGIN_REFUSED,
    "InvalidToken": faults.LOGIN_REFUSED,
    "AccountProblem": faults.LOGIN_REFUSED,
    "401": faults.LOGIN_REFUSED,
    "NoSuchBucket": faults.BUCKET_MISSING,
    "NoSuchKey": faults.NOT_FOUND,
    "404": faults.NOT_FOUND,
    "PermanentRedirect": faults.WRONG_REGION,
    "TemporaryRedirect": faults.WRONG_REGION,
    "AuthorizationHeaderMalformed": faults.WRONG_REGION,
    "IllegalLocationConstraintException": faults.WRONG_REGION,
    "301": faults.WRONG_REGION,
    "307": faults.WRONG_REGION,
    "RequestTimeTooSkewed": faults.CLOCK_SKEW,
    "SlowDown": faults.SLOW_DOWN,
    "ServiceUnavailable": faults.SLOW_DOWN,
    "TooManyRequests": faults.SLOW_DOWN,
    "429": faults.SLOW_DOWN,
    "503": faults.SLOW_DOWN,
    "QuotaExceeded": faults.DISK_FULL,
    "InsufficientCapacity": faults.DISK_FULL,
    "InsufficientStorage": faults.DISK_FULL,
    "XMinioStorageFull": faults.DISK_FULL,
    "XMinioAdminBucketQuotaExceeded": faults.DISK_FULL,
    "507": faults.DISK_FULL,
    "PreconditionFailed": faults.NAME_TAKEN,
    "412": faults.NAME_TAKEN,
}
UNSUPPORTED = frozenset({"NotImplemented", "501"})
_BROKEN: tuple[tuple[type[Exception], FaultKind], ...] = (
    (ConnectTimeoutError, faults.CONNECTION_TIMEOUT),
    (ReadTimeoutError, faults.REMOTE_TIMEOUT),
    (EndpointConnectionError, faults.CONNECTION_REFUSED),
    (ConnectionClosedError, faults.CONNECTION_LOST),
    (ResponseParserError, faults.NOT_S3),
)
ERRORS = (ClientError, BotoCoreError, ResponseParserError, Fault)


def fault_of(error: Exception, path: str) -> Fault:
    """Return what an error of `ERRORS` means for a file or folder."""
    for cause in _causes(error):
        if isinstance(cause, Fault):
            return cause
    if isinstance(error, ClientError):
        return refusal(code_of(error), str(error.response.get("Error", {}).get("Message", "")), path)
    if isinstance(error, SSLError):
        return Fault(faults.TLS_FAILED, tls_detail(error), path=path)
    kind = next((kind for broken, kind in _BROKEN if isinstance(error, broken)), faults.REMOTE_FAILURE)
    return Fault(kind, path=path)


def refusal(code: str, text: str, path: str) -> Fault:
    """Return the fault for an error answer of the server."""
    kind = KINDS.get(code, faults.REMOTE_FAILURE)
    return Fault(
        kind, None if kind in (faults.NOT_FOUND, faults.NAME_TAKEN) else server_text(code, text), path=path
    )


def code_of(error: ClientError) -> str:
    """Return the code of S3; the HTTP status if the answer has none."""
    status = str(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
    return str(error.response.get("Error", {}).get("Code") or status)


def is_unsupported(error: Exception) -> bool:
    return isinstance(error, ClientError) and code_of(error) in UNSUPPORTED


def server_text(code: str, text: str) -> Message:
    """Return the server's own text, without control characters, which could break a log line or a page."""
    shown = "".join(one if one.isprintable() else " " for one in f"{code}: {text}" if one)
    return Message("sftp.server_says", text=shown[:MAX_TEXT].rstrip(": "))


def tls_detail(error: Exception) -> Message | None:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            text = getattr(cause, "verify_message", "") or cause.reason or ""
            return Message("s3.tls", text=str(text)[:MAX_TEXT]) if text else None
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and those that it wraps, for as far as botocore and urllib3 do."""
    pending: list[object] = [error]
    seen: set[int] = set()
    while pending:
        one = pending.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        pending += [getattr(one, "kwargs", {}).get("error"), one.__cause__, *one.args]
        pending.append(getattr(one, "reason", None))
