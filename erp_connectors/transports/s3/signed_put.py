"""Write an object with one request that the server refuses if the key is taken, or after a moment.

The request is a presigned PUT. Its expiry lies before the end of the worker's lease, so the server's clock refuses the
late request of a worker that was frozen. `If-None-Match: *` refuses a second object under the same key.
"""

import math
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest

from erp_connectors import faults
from erp_connectors.faults import Fault
from erp_connectors.transports.s3 import answers
from erp_connectors.transports.s3.bucket import md5_of
from orderflow.messages import Message

# A request is sent only if the server accepts it for at least so many seconds.
SHORTEST = 2
# A request whose answer we no longer wait for expires after so many more seconds.
MARGIN = 2
_STAMP = "%Y%m%dT%H%M%SZ"
_CODE = re.compile(rb"<Code>([A-Za-z0-9_.-]{1,100})</Code>")
_TEXT = re.compile(rb"<Message>([^<]{1,1000})</Message>")


@dataclass(frozen=True, slots=True)
class PutAnswer:
    """``status`` and ``code`` are those of the server's answer."""

    status: int
    code: str = ""
    text: str = ""

    @property
    def is_done(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_refused(self) -> bool:
        """Return True if the server certainly did not write the object."""
        return 300 <= self.status < 500 or self.code in ("SlowDown", "ServiceUnavailable", "NotImplemented")

    def fault(self, path: str) -> Fault:
        return answers.refusal(self.code or str(self.status), self.text, path)


def expiry(*, until: float | None, io_timeout: float, ahead: float, now: float) -> int:
    """Return the seconds for which the server may accept a request that is signed now.

    ``until`` is the time (of our clock) at which another worker may take over; ``ahead`` is how many seconds our clock
    is ahead of the server's, which would accept the request for that much longer. If it is behind, the server sees
    a signature that is that much older. The difference is only estimated, so it never moves the end beyond ``until``.
    """
    ends = now + io_timeout + MARGIN + max(0.0, -ahead)
    if until is not None:
        ends = min(ends, until - 1 - max(0.0, ahead))
    return math.floor(ends - now)


def put(
    client: Any,
    bucket: str,
    key: str,
    data: bytes,
    *,
    seconds: int,
    until: float | None,
    if_absent: bool = True,
) -> PutAnswer:
    """Write the object. Raise an error of `answers.ERRORS` if the server's answer did not arrive."""
    headers = {"Content-MD5": md5_of(data)}
    params: dict[str, Any] = {"Bucket": bucket, "Key": key, "ContentMD5": headers["Content-MD5"]}
    if if_absent:
        params["IfNoneMatch"] = headers["If-None-Match"] = "*"
    url = client.generate_presigned_url("put_object", Params=params, ExpiresIn=seconds, HttpMethod="PUT")
    # A worker that froze before it signed would have signed a later end.
    if until is not None and _ends(url) > until:
        raise too_late(key)
    return _send(client, AWSRequest("PUT", url, headers=headers, data=data))


def put_late(client: Any, bucket: str, key: str, data: bytes) -> PutAnswer:
    """Send a request that expired a minute ago, to find out if the server refuses it."""
    params = {"Bucket": bucket, "Key": key}
    url = client.generate_presigned_url("put_object", Params=params, HttpMethod="PUT").partition("?")[0]
    request = AWSRequest("PUT", url, headers={"Content-MD5": md5_of(data)})
    signer = client._request_signer  # noqa: SLF001  # botocore signs with the present time only
    _Earlier(signer._credentials, "s3", signer.region_name, expires=60).add_auth(request)  # noqa: SLF001
    request.data = data
    return _send(client, request)


class _Earlier(S3SigV4QueryAuth):  # type: ignore[misc]  # botocore has no types
    def _modify_request_before_signing(self, request: Any) -> None:
        request.context["timestamp"] = f"{datetime.now(UTC) - timedelta(seconds=120):{_STAMP}}"
        super()._modify_request_before_signing(request)


def _send(client: Any, request: AWSRequest) -> PutAnswer:
    response = client._endpoint.http_session.send(request.prepare())  # noqa: SLF001  # checked and bounded, see client
    body: bytes = response.content
    code, text = _CODE.search(body), _TEXT.search(body)
    return PutAnswer(
        response.status_code,
        code[1].decode() if code else "",
        text[1].decode(errors="replace") if text else "",
    )


def too_late(path: str) -> Fault:
    """Return the fault of a worker whose lease is nearly over; the next attempt continues."""
    return Fault(faults.REMOTE_TIMEOUT, Message("s3.too_late"), path=path)


def _ends(url: str) -> float:
    values = parse_qs(urlsplit(url).query)
    signed = datetime.strptime(values["X-Amz-Date"][0], _STAMP).replace(tzinfo=UTC)
    return signed.timestamp() + int(values["X-Amz-Expires"][0])


def now() -> float:
    """Return the time by which requests are signed."""
    return time.time()
