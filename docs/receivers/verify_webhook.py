"""Check a webhook of OrderFlow before believing it. Python 3.8 or newer, nothing else.

    event = verify(secret, headers, body)     # the raw bytes of the body, as they came

Then remember `webhook-id` for a day and drop what you have seen: a notification may come twice.
"""

import base64
import hashlib
import hmac
import json
import time

TOLERANCE_SECONDS = 300


class BadSignature(Exception):
    """Answer 401 and do nothing."""


def verify(
    secret: str, headers: "dict[str, str]", body: bytes, now: "float | None" = None
) -> "dict[str, object]":
    """``headers``: names in lower case. The event, or BadSignature."""
    try:
        message_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
        signatures = headers["webhook-signature"].split(" ")
        age = abs((time.time() if now is None else now) - int(timestamp))
    except (KeyError, ValueError):
        raise BadSignature("a header is missing or malformed") from None
    if age > TOLERANCE_SECONDS:
        raise BadSignature("too old, or one of both clocks is wrong")
    key = base64.b64decode(secret[len("whsec_") :])
    signed = message_id.encode() + b"." + timestamp.encode() + b"." + body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    # While a secret is being replaced there are two signatures; one of them is enough.
    if not any(hmac.compare_digest(expected.encode(), given.encode()) for given in signatures):
        raise BadSignature("signed with another secret, or changed on its way")
    event: "dict[str, object]" = json.loads(body)
    return event
