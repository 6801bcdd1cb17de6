"""The keys of the S3 transport and their checks. Their labels and help texts are in `fields`."""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from erp_connectors.config_fields import ConfigError, convert
from erp_connectors.transports.s3.fields import ADDRESSING_STYLES
from erp_connectors.transports.s3.options import PORTS, S3Options
from orderflow.messages import Message

Seconds = Annotated[float, Meta(gt=0, le=600)]
Bucket = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]\Z")]
Region = Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")]
Url = Annotated[str, Meta(min_length=1, max_length=300)]
KeyId = Annotated[str, Meta(pattern=r"^[\x21-\x7e]{1,255}\Z")]
Secret = Annotated[str, Meta(min_length=1, max_length=1_000)]
Style = Annotated[str, Meta(pattern=r"^(auto|path|virtual)\Z")]


class S3Config(msgspec.Struct, frozen=True, kw_only=True):
    bucket: Bucket | None = None
    endpoint: Url | None = None
    region: Region = "us-east-1"
    addressing_style: Style = "auto"
    access_key_id: KeyId | None = None
    secret_access_key: Secret | None = None
    connect_timeout: Seconds = 10.0
    io_timeout: Seconds = 30.0

    def __repr__(self) -> str:
        return f"S3Config(bucket={self.bucket!r})"


_MUST_BE = {
    "bucket": Message("config.not_a_bucket"),
    "region": Message("config.not_a_region"),
    "access_key_id": Message("config.not_one_word"),
    "addressing_style": Message(
        "config.not_a_choice", choices=" / ".join(style for style, _ in ADDRESSING_STYLES)
    ),
}
_NEEDED = ("bucket", "access_key_id", "secret_access_key")


def parse(raw: Mapping[str, Any]) -> S3Options:
    """Raises `ConfigError` with every wrong key."""
    values, problems = convert(raw, S3Config, _MUST_BE)
    problems |= {key: Message("config.needed_for_s3") for key in _NEEDED if key not in {**values, **problems}}
    if "endpoint" in values and not _is_endpoint(values["endpoint"]):
        problems["endpoint"] = Message("config.not_an_endpoint")
    if problems:
        raise ConfigError(problems)
    return _options(S3Config(**values))


def _options(config: S3Config) -> S3Options:
    style = config.addressing_style
    if style == "auto":
        style = "path" if config.endpoint else "virtual"
    return S3Options(
        bucket=config.bucket or "",
        access_key_id=config.access_key_id or "",
        secret_access_key=config.secret_access_key or "",
        endpoint_url=(config.endpoint or _amazon(config.region)).rstrip("/"),
        region=config.region,
        addressing_style=style,
        connect_timeout=config.connect_timeout,
        io_timeout=config.io_timeout,
    )


def _amazon(region: str) -> str:
    return f"https://s3.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")


def _is_endpoint(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    plain = parts.scheme in PORTS and bool(parts.hostname) and parts.path in ("", "/")
    return (
        plain
        and url.isascii()
        and url.isprintable()
        and " " not in url
        and not (parts.query or parts.fragment or "@" in parts.netloc or "?" in url or "#" in url)
        and port != 0
    )
