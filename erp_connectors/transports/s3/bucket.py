"""Requests about single objects and prefixes of one bucket. All raise the errors of `answers.ERRORS`."""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError, ConnectionClosedError

from erp_connectors.transports.s3 import answers
from erp_connectors.transports.s3.client import read_bounded

# The most keys that S3 lists at once.
PAGE = 1000


@dataclass(frozen=True, slots=True)
class ObjectState:
    """Size and ETag of an object; ``is_encrypted``: its ETag is not the MD5 of its content."""

    size: int
    etag: str
    is_encrypted: bool = False


def md5_of(data: bytes) -> str:
    """Return the checksum as the header Content-MD5 has it."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def key_of(path: str) -> str:
    """Return the key of a path: S3 has no root and no leading slash."""
    return path.lstrip("/")


def prefix_of(folder: str) -> str:
    key = key_of(folder)
    return f"{key}/" if key else ""


class Bucket:
    def __init__(self, client: Any, name: str, *, io_timeout: float) -> None:
        self.client, self.name = client, name
        self._io_timeout = io_timeout

    def versioning(self) -> tuple[bool | None, dict[str, str]]:
        """Return whether versions are kept, None if the server does not say; and the headers of the answer."""
        try:
            answer = self.client.get_bucket_versioning(Bucket=self.name)
        except ClientError as error:
            if answers.code_of(error) not in (
                "AccessDenied",
                "403",
                "MethodNotAllowed",
                *answers.UNSUPPORTED,
            ):
                raise
            return None, dict(error.response["ResponseMetadata"].get("HTTPHeaders", {}))
        headers = dict(answer["ResponseMetadata"].get("HTTPHeaders", {}))
        return answer.get("Status") == "Enabled", headers

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=data, ContentMD5=md5_of(data))

    def head(self, key: str) -> ObjectState | None:
        """Return None if there is no such key or, as an answer to HEAD does not say which, no such bucket."""
        try:
            answer = self.client.head_object(Bucket=self.name, Key=key)
        except ClientError as error:
            if answers.code_of(error) in ("404", "NoSuchKey"):
                return None
            raise
        encrypted = (
            answer.get("ServerSideEncryption", "AES256") != "AES256" or "SSECustomerAlgorithm" in answer
        )
        return ObjectState(answer["ContentLength"], answer.get("ETag", "").strip('"'), encrypted)

    def has(self, key: str) -> bool:
        """Return whether the key exists. One listing proves that the bucket exists and the key does not."""
        return key in self.keys(key, most=1)

    def keys(self, prefix: str, *, most: int) -> list[str]:
        """Return the first keys with a prefix, in the order of their bytes."""
        answer = self.client.list_objects_v2(Bucket=self.name, Prefix=prefix, MaxKeys=most)
        return [one["Key"] for one in answer.get("Contents", ())]

    def had(self, key: str) -> bool:
        """Return whether a versioned bucket has or had the key."""
        answer = self.client.list_object_versions(Bucket=self.name, Prefix=key, MaxKeys=2)
        found = [*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())]
        return any(one["Key"] == key for one in found)

    def pages(self, prefix: str) -> Iterator[dict[str, Any]]:
        """Yield the pages of a folder. The next page begins after the last key, so changes skip no other key."""
        token: dict[str, Any] = {"MaxKeys": PAGE}
        while True:
            page = self.client.list_objects_v2(Bucket=self.name, Prefix=prefix, Delimiter="/", **token)
            yield page
            following = page.get("NextContinuationToken")
            if not page.get("IsTruncated") or not following or following == token.get("ContinuationToken"):
                return
            token["ContinuationToken"] = following

    def get(self, key: str, *, most: int) -> bytes | None:
        """Return the content, or None if it has more than ``most`` bytes: then no more than that is read."""
        answer = self.client.get_object(Bucket=self.name, Key=key)
        raw = answer["Body"]._raw_stream  # noqa: SLF001  # it would read without a limit of time
        if answer["ContentLength"] > most:
            raw.close()
            return None
        body = read_bounded(raw, most=most, seconds=self._io_timeout)
        if len(body) != answer["ContentLength"]:
            raise ConnectionClosedError(endpoint_url="")
        return body

    def copy(self, source: str, target: str, etag: str, *, if_absent: bool) -> None:
        """Copy within the bucket, only if the source is unchanged. ``if_absent``: and if the target does not exist."""
        condition = {"IfNoneMatch": "*"} if if_absent else {}
        origin = {"Bucket": self.name, "Key": source}
        self.client.copy_object(
            Bucket=self.name, Key=target, CopySource=origin, CopySourceIfMatch=f'"{etag}"', **condition
        )

    def delete(self, key: str, *, etag: str = "") -> None:
        """Delete the object; ``etag``: only if it is unchanged, as far as the server supports that."""
        condition = {"IfMatch": f'"{etag}"'} if etag else {}
        try:
            self.client.delete_object(Bucket=self.name, Key=key, **condition)
        except ClientError as error:
            if not (condition and answers.is_unsupported(error)):
                raise
            self.client.delete_object(Bucket=self.name, Key=key)
