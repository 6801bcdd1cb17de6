"""What a bucket holds, as the part of `pathlib.Path` that tests use to look into a dropzone from outside."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.servers.s3 import S3Server


@cache
def client_of(server: S3Server) -> Any:
    """Return a client that has nothing to do with the one under test."""
    return botocore.session.Session().create_client(
        "s3",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        config=Config(
            s3={"addressing_style": "path"},
            signature_version="s3v4",
            request_checksum_calculation="when_required",
        ),
    )


@dataclass(frozen=True)
class BucketPath:
    client: Any
    bucket: str
    key: str

    def __truediv__(self, name: str) -> "BucketPath":
        return BucketPath(self.client, self.bucket, f"{self.key}/{name}")

    def read_bytes(self) -> bytes:
        body: bytes = self.client.get_object(Bucket=self.bucket, Key=self.key)["Body"].read()
        return body

    def write_bytes(self, data: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=self.key, Body=data)

    def touch(self) -> None:
        self.write_bytes(b"")

    def unlink(self) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=self.key)

    def exists(self) -> bool:
        try:
            self.client.head_object(Bucket=self.bucket, Key=self.key)
        except ClientError:
            return False
        return True

    def mkdir(self) -> None:
        """Put something below it, which is all that a folder is."""
        (self / "something").touch()

    def symlink_to(self, other: object) -> None:
        """Do nothing: a bucket has no links."""

    def names(self) -> Iterator[str]:
        answer = self.client.list_objects_v2(Bucket=self.bucket, Prefix=f"{self.key}/")
        yield from (one["Key"].removeprefix(f"{self.key}/") for one in answer.get("Contents", ()))

    def appeared(self, suffix: str | tuple[str, ...]) -> Counter[str]:
        """Return how often an object was written under each name, by the versions that a bucket keeps."""
        pages = self.client.get_paginator("list_object_versions").paginate(
            Bucket=self.bucket, Prefix=f"{self.key}/"
        )
        keys = [one["Key"] for page in pages for one in page.get("Versions", ())]
        return Counter(key.removeprefix(f"{self.key}/") for key in keys if key.endswith(suffix))
