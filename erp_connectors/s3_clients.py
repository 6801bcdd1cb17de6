"""S3 clients that connect only to addresses that the address policy allows, also after a redirect to another region."""

import socket
from typing import Any

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from storages.backends.s3 import S3Storage
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from erp_connectors import checked_connections
from erp_connectors.checked_connections import DEFAULT_SECONDS


class _Checked:
    """Mixin for urllib3's connections: connect to checked addresses."""

    def _new_conn(self: Any) -> socket.socket:
        seconds = self.timeout if isinstance(self.timeout, int | float) else DEFAULT_SECONDS
        try:
            return checked_connections.connect(self._dns_host, self.port, seconds)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, str(error)) from error
        except OSError as error:
            raise NewConnectionError(self, str(error)) from error


class _HTTPConnection(_Checked, AWSHTTPConnection):  # type: ignore[misc]  # botocore has no types
    pass


class _HTTPSConnection(_Checked, AWSHTTPSConnection):  # type: ignore[misc]
    pass


class _HTTPPool(AWSHTTPConnectionPool):  # type: ignore[misc]
    ConnectionCls = _HTTPConnection


class _HTTPSPool(AWSHTTPSConnectionPool):  # type: ignore[misc]
    ConnectionCls = _HTTPSConnection


_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


def restrict(client: Any) -> None:
    """Let a boto3 client connect to checked addresses only.

    All of its requests use this one session, also after a redirect. botocore looks up credentials with other sessions,
    so an instance's role still works.
    """
    session = client._endpoint.http_session  # noqa: SLF001  # botocore has no public way to choose connections
    session._pool_classes_by_scheme = session._manager.pool_classes_by_scheme = _POOLS  # noqa: SLF001


class RestrictedS3Storage(S3Storage):  # type: ignore[misc]  # django-storages has no types
    """S3 storage with restricted clients; django-storages has one client per thread."""

    @property
    def connection(self) -> Any:
        made = super().connection
        restrict(made.meta.client)
        return made
