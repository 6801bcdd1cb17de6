"""Settings of the archive: object storage or a folder."""

from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from orderflow import environment as env


def storage(var: Path) -> dict[str, Any]:
    """Return the entry of STORAGES for the archive. Raise `ImproperlyConfigured` for an endpoint without a bucket."""
    endpoint, bucket = env.text("S3_ENDPOINT_URL"), env.text("S3_BUCKET")
    if endpoint and not bucket:
        raise ImproperlyConfigured(
            "S3_ENDPOINT_URL is set but S3_BUCKET is not. Set both, or neither for a folder."
        )
    if not bucket:
        folder = env.text("ARCHIVE_DIR", str(var / "archive"))
        return {
            "BACKEND": "erp_connectors.folder_storage.FolderStorage",
            # A copy that a crash left half-written is written again under its own name, never beside it.
            "OPTIONS": {"location": folder, "allow_overwrite": True},
        }
    style = env.text("S3_ADDRESSING_STYLE", "path", among=("path", "virtual", "auto"))
    from botocore.config import Config  # noqa: PLC0415  # only where S3 is used

    return {
        "BACKEND": "erp_connectors.s3_clients.RestrictedS3Storage",
        "OPTIONS": {
            "bucket_name": bucket,
            "endpoint_url": endpoint or None,
            "access_key": env.text("S3_ACCESS_KEY_ID") or None,
            "secret_key": env.text("S3_SECRET_ACCESS_KEY") or None,
            "region_name": env.text("S3_REGION", "us-east-1"),
            "file_overwrite": True,
            "default_acl": None,
            "client_config": Config(
                signature_version="s3v4",
                s3={"addressing_style": style},
                # Many S3-compatible servers refuse the checksums that boto3 sends by default.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                connect_timeout=5,
                read_timeout=20,
                retries={"max_attempts": 3, "mode": "standard"},
            ),
        },
    }
