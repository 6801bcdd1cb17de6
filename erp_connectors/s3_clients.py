"""S3 clients of the archive: they connect only to addresses that the address policy allows."""

from typing import Any

from storages.backends.s3 import S3Storage

from erp_connectors import checked_connections, s3_connections


def restrict(client: Any) -> None:
    """Let a boto3 client connect to checked addresses only."""
    s3_connections.restrict(client, checked_connections.connect)


class RestrictedS3Storage(S3Storage):  # type: ignore[misc]  # django-storages has no types
    """S3 storage with restricted clients; django-storages has one client per thread."""

    @property
    def connection(self) -> Any:
        made = super().connection
        restrict(made.meta.client)
        return made
