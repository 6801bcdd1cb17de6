"""Try out if a server supports what exactly-once delivery needs, on keys that no ERP reads."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from erp_connectors.dropzone_paths import join, probe_name
from erp_connectors.port_types import Guarantee, GuaranteeLevel
from erp_connectors.transports.s3 import answers, signed_put
from erp_connectors.transports.s3.bucket import Bucket, key_of
from orderflow.messages import Message, several

BODY = b'{"test": "connection"}\n'


@dataclass(frozen=True, slots=True)
class Support:
    """``versions``: the bucket keeps them, and we may list them. ``conditions``: the server honours If-None-Match.

    ``expiry``: the server refuses a presigned request after its time.
    """

    versions: bool
    conditions: bool
    expiry: bool

    def guarantee(self) -> Guarantee:
        needed = (
            (self.versions, Message("s3.no_versions")),
            (self.conditions, Message("s3.no_conditions")),
            (self.expiry, Message("s3.no_expiry")),
        )
        lacking = [message for there, message in needed if not there]
        if lacking:
            return Guarantee(GuaranteeLevel.AT_LEAST_ONCE, several(lacking) or lacking[0])
        return Guarantee(GuaranteeLevel.EXACTLY_ONCE, Message("guarantee.versions_as_receipt"))


def try_out(bucket: Bucket, folder: str, *, versioned: bool) -> Support:
    """Return the supported features. A feature that cannot be tried counts as unsupported."""
    now = datetime.now(UTC)
    first, late = (key_of(join(folder, probe_name(part, now=now))) for part in ("condition", "expiry"))
    try:
        return Support(
            versions=versioned,
            conditions=_refuses_second(bucket, first),
            expiry=_refuses_late(bucket, late),
        )
    finally:
        for key in (first, late):
            with suppress(*answers.ERRORS):
                bucket.delete(key)


def _refuses_second(bucket: Bucket, key: str) -> bool:
    try:
        written = [
            signed_put.put(bucket.client, bucket.name, key, BODY, seconds=60, until=None) for _ in range(2)
        ]
    except answers.ERRORS:
        return False
    return [answer.status for answer in written] == [200, 412]


def _refuses_late(bucket: Bucket, key: str) -> bool:
    """Return True if the server refuses a request that is sent after its expiry."""
    try:
        answer = signed_put.put_late(bucket.client, bucket.name, key, BODY)
    except answers.ERRORS:
        return False
    return answer.is_refused
