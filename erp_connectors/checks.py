"""What must be right before anything runs."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from erp_connectors.archive import ALIAS
from erp_connectors.crypto import BadKey
from erp_connectors.fields import key_ring


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
