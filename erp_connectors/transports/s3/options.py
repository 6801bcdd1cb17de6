"""Options of the S3 transport."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from erp_connectors.transports.base import Endpoint, TransportOptions

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class S3Options(TransportOptions):
    """``endpoint_url`` is a URL without a path; ``addressing_style`` is path or virtual."""

    bucket: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    endpoint_url: str
    region: str = "us-east-1"
    addressing_style: str = "path"
    connect_timeout: float = 10.0
    io_timeout: float = 30.0

    @property
    def host(self) -> str:
        return urlsplit(self.endpoint_url).hostname or ""

    @property
    def port(self) -> int:
        url = urlsplit(self.endpoint_url)
        return url.port or PORTS[url.scheme]

    @property
    def encrypted(self) -> bool:
        return self.endpoint_url.startswith("https:")

    def endpoint(self) -> Endpoint:
        return Endpoint(self.host, self.port, self.access_key_id)
