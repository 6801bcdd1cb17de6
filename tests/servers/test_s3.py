import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.servers.s3 import S3Server


def _client(server: S3Server, *, secret_key: str | None = None):
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=secret_key or server.secret_key,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
    )


def test_what_is_put_can_be_listed_and_read(s3: S3Server) -> None:
    client = _client(s3)
    client.put_object(Bucket=s3.bucket, Key="a/größe.json", Body=b"{}")
    listed = client.list_objects_v2(Bucket=s3.bucket, Prefix="a/")["Contents"]
    assert [entry["Key"] for entry in listed] == ["a/größe.json"]
    assert client.get_object(Bucket=s3.bucket, Key="a/größe.json")["Body"].read() == b"{}"
    assert (s3.folder / "a" / "größe.json").read_bytes() == b"{}"


def test_a_wrong_secret_is_refused(s3: S3Server) -> None:
    with pytest.raises(ClientError) as refused:
        _client(s3, secret_key="wrong-wrong-wrong").list_objects_v2(Bucket=s3.bucket)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
