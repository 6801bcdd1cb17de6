"""Access to metrics and details: by token, or from an allowed network."""

from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare


def is_known(request: HttpRequest) -> bool:
    return _has_token(request) or _is_near(request)


def is_open() -> bool:
    """Somebody may see them at all."""
    return bool(settings.METRICS_TOKEN or settings.METRICS_ALLOWED_NETWORKS)


def _has_token(request: HttpRequest) -> bool:
    scheme, _, offered = request.headers.get("Authorization", "").partition(" ")
    wanted = settings.METRICS_TOKEN
    return bool(wanted) and scheme == "Bearer" and constant_time_compare(offered.strip(), wanted)


def _is_near(request: HttpRequest) -> bool:
    """Check every address in the header: a client can add some, but can't remove its own."""
    forwarded = request.headers.get("X-Forwarded-For", "")
    way = [request.META.get("REMOTE_ADDR", ""), *(forwarded.split(",") if forwarded else [])]
    return all(_is_allowed(address.strip()) for address in way)


def _is_allowed(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return any(mapped in network for network in settings.METRICS_ALLOWED_NETWORKS)
