"""System checks that must pass before anything runs."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from erp_connectors.address_policy import literal, refusal
from erp_connectors.archive import ALIAS
from erp_connectors.connection_config import config_fields
from erp_connectors.registry import ORG_PLACE, connector_types, has_installed
from erp_connectors.retention.periods import TooShort, configured
from erp_connectors.transports.allowed_hosts import is_host_or_network
from orderflow.secrets.crypto import BadKey
from orderflow.secrets.key_ring import key_ring

PROTECTED_HARDLINKS = Path("/proc/sys/fs/protected_hardlinks")


@register()
def encryption_key(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    try:
        key_ring()
    except BadKey as error:
        return [
            Error(
                f"The encryption key {error}.",
                hint="Set ENCRYPTION_MASTER_KEY to 64 hex digits; connections can't be saved or used without it.",
                id="erp_connectors.E001",
            )
        ]
    return []


@register()
def archive_storage(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if ALIAS in settings.STORAGES:
        return []
    return [Error(f"STORAGES has no {ALIAS!r}: exports would have no archive.", id="erp_connectors.E002")]


@register()
def places_in_roots(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    wrong = [root for root in map(str, settings.DROPZONE_ROOTS) if set("{}") & {*root.replace(ORG_PLACE, "")}]
    return [
        Error(
            f"DROPZONE_ROOTS holds {root!r}.",
            hint=f"{ORG_PLACE} stands for an org's short name; nothing else may stand in braces.",
            id="erp_connectors.E003",
        )
        for root in wrong
    ]


@register()
def allowed_hosts(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    return [
        Error(
            f"SFTP_ALLOWED_HOSTS holds {entry!r}, which is no host name, address or network.",
            hint="Write entries like erp.example.com, 10.1.2.3 or 10.1.0.0/16, separated by commas.",
            id="erp_connectors.E004",
        )
        for entry in settings.SFTP_ALLOWED_HOSTS
        if not is_host_or_network(entry)
    ]


@register()
def installed_parts(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check installed packages: one broken package would break the form of every connection."""
    found: list[CheckMessage] = []
    for connector_type in connector_types() if has_installed() else ():
        try:
            config_fields(connector_type)
        except (ImportError, AttributeError, TypeError) as error:
            found.append(
                Error(
                    f"Connector type {connector_type} can't be used: {error}.",
                    hint="Correct or remove the package that adds a connector or a transport.",
                    id="erp_connectors.E007",
                )
            )
    return found


@register()
def endpoints(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The operator chose them, so private addresses are fine; names are looked up only when they are used."""
    hosts = {
        "S3_ENDPOINT_URL": urlsplit(
            settings.STORAGES[ALIAS].get("OPTIONS", {}).get("endpoint_url") or ""
        ).hostname,
        "EMAIL_URL": settings.EMAIL_HOST if settings.MAIL_IS_SET_UP else None,
    }
    found = {name: literal(host) for name, host in hosts.items() if host}
    return [
        Error(
            f"{name} names {address}, which {why}.",
            hint="Name the server itself.",
            id="erp_connectors.E006",
        )
        for name, address in found.items()
        if address and (why := refusal(address, loopback=True, nat64=settings.NAT64_PREFIXES))
    ]


@register()
def retention_periods(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    try:
        configured()
    except TooShort as error:
        return [Error(str(error), hint="Change RETENTION_ARCHIVE_DAYS.", id="erp_connectors.E005")]
    return []


@register()
def hard_links(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    # Without it, any user who may write into a dropzone could present any file of its disk as an ack file.
    try:
        protected = PROTECTED_HARDLINKS.read_text().strip() != "0"
    except OSError:
        return []
    hint = "Set the kernel's fs.protected_hardlinks to 1, as it is by default."
    return [] if protected else [Warning("Anybody may make hard links.", hint=hint, id="erp_connectors.W002")]


@register()
def dropzone_roots(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    wide = [root for root in settings.DROPZONE_ROOTS if str(root) == "/" or not str(root).startswith("/")]
    return [
        Warning(
            f"DROPZONE_ROOTS holds {root!r}.",
            hint="Name absolute folders that hold nothing but dropzones.",
            id="erp_connectors.W001",
        )
        for root in wide
    ]
