"""Typed environment variables; an invalid value aborts startup and names the variable."""

import os
from collections.abc import Callable, Collection
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

_BOOLEANS = dict.fromkeys(("true", "t", "1", "yes", "y", "on"), True) | dict.fromkeys(
    ("false", "f", "0", "no", "n", "off"), False
)
_ENGINES = ("django.db.backends.sqlite3", "django.db.backends.postgresql")
# Lengths of the prefixes of IPv4 addresses in IPv6 ones, RFC 6052.
NAT64_LENGTHS = (32, 40, 48, 56, 64, 96)
_MAIL_PORTS = {"smtp": 25, "submission": 587, "smtps": 465}
ValueT = TypeVar("ValueT")


def text(name: str, default: str = "", *, among: Collection[str] = ()) -> str:
    value = os.environ.get(name) or default
    if among and value not in among:
        raise ImproperlyConfigured(f"{name} is {value!r}; write one of: {', '.join(among)}.")
    return value


def flag(name: str, default: bool) -> bool:
    return _read(lambda value: _BOOLEANS[value.lower()], name, default, wanted="true or false")


def number(name: str, default: int, *, minimum: int = 1) -> int:
    wanted = f"a whole number of at least {minimum}"
    value = _read(int, name, default, wanted=wanted)
    if value < minimum:
        raise ImproperlyConfigured(f"{name} is {value}; write {wanted}.")
    return value


def items(name: str, default: Collection[str] = ()) -> list[str]:
    """A comma-separated list."""
    value = text(name)
    return [item.strip() for item in value.split(",") if item.strip()] if value else list(default)


def folders(name: str, default: Collection[str]) -> list[str]:
    for value in (values := items(name, default)):
        if not Path(value).is_absolute():
            raise ImproperlyConfigured(
                f"{name} holds {value!r}; write absolute folders, separated by commas."
            )
    return values


def networks(name: str) -> list[IPv4Network | IPv6Network]:
    try:
        return [ip_network(value) for value in items(name)]
    except ValueError as error:
        raise ImproperlyConfigured(
            f"{name} can't be understood ({error}); write networks such as 10.0.0.0/8, separated by commas."
        ) from None


def nat64_prefixes(name: str) -> list[IPv6Network]:
    """Return IPv6 networks of `NAT64_LENGTHS`."""
    found = [network for network in networks(name) if isinstance(network, IPv6Network)]
    if len(found) < len(items(name)) or any(network.prefixlen not in NAT64_LENGTHS for network in found):
        raise ImproperlyConfigured(
            f"{name} can't be understood; write IPv6 prefixes, separated by commas. Their length is one of "
            f"{', '.join(map(str, NAT64_LENGTHS))} bits."
        )
    return found


def database(name: str, default: str) -> dict[str, Any]:
    wanted = "postgres://user:password@host:5432/name or sqlite:////folder/file.sqlite3"
    try:
        config = dict(dj_database_url.parse(text(name, default)))
    except ValueError:
        # The value itself is not repeated: it may hold a password.
        raise ImproperlyConfigured(f"{name} can't be understood; write {wanted}.") from None
    if config.get("ENGINE") not in _ENGINES or not config.get("NAME"):
        raise ImproperlyConfigured(f"{name} names no PostgreSQL or SQLite database; write {wanted}.")
    return config


def mail(name: str) -> dict[str, Any]:
    """Django's mail settings from a URL; {} where it is not set."""
    wanted = (
        "submission://user:password@host (STARTTLS, port 587), smtps://… (TLS, 465) or smtp://… (plain, 25)"
    )
    value = text(name)
    try:
        parts = urlsplit(value)
        port = parts.port or _MAIL_PORTS.get(parts.scheme)
    except ValueError:
        parts, port = urlsplit(""), None
    if value and not (port and parts.hostname and parts.path in ("", "/")):
        # The value itself is not repeated: it may hold a password.
        raise ImproperlyConfigured(f"{name} can't be understood; write {wanted}.")
    found = {
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": port,
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_TLS": parts.scheme == "submission",
        "EMAIL_USE_SSL": parts.scheme == "smtps",
    }
    return found if value else {}


def site(name: str) -> str:
    """A URL that pages are under, without a slash at its end; empty where it is not set."""
    value = text(name).rstrip("/")
    parts = urlsplit(value)
    if value and (
        parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment
    ):
        raise ImproperlyConfigured(f"{name} is {value!r}; write a URL such as https://orders.example.com.")
    return value


def _read(parse: Callable[[str], ValueT], name: str, default: ValueT, *, wanted: str) -> ValueT:
    value = text(name).strip()
    if not value:
        return default
    try:
        return parse(value)
    except (ValueError, KeyError):
        raise ImproperlyConfigured(f"{name} can't be understood; write {wanted}.") from None
