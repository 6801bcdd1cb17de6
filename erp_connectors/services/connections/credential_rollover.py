"""Replace a host key or our own key by the planned one once the server has used it."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import structlog
from django.db import transaction
from django.utils import timezone

from erp_connectors.common_fields import Dropzone
from erp_connectors.connection_config import renew_config
from erp_connectors.faults import Fault
from erp_connectors.models import ERPConnection
from erp_connectors.services.connections import server_limits
from erp_connectors.services.connections.manage import change_connection
from erp_connectors.sessions import session
from erp_connectors.transports.base import RenewedCredentials, Transport

log = structlog.get_logger(__name__)
REASON = "PLANNED_CREDENTIALS_USED"


@contextmanager
def open_link(connection_id: UUID, dropzone: Dropzone) -> Iterator[Transport]:
    """As `session`. Afterwards apply the planned keys that the server used, and store its limits."""
    renewed, limits = RenewedCredentials(), dropzone.limits
    try:
        with session(connection_id, dropzone) as transport:
            try:
                yield transport
            finally:
                renewed, limits = transport.renewed(), transport.limits()
    finally:
        store_renewed(connection_id, renewed)
        server_limits.store(connection_id, dropzone, limits)


def store_renewed(connection_id: UUID, renewed: RenewedCredentials) -> None:
    """Apply the planned keys, audited as a change by the system. Do nothing if none was used, or it is done already."""
    if not renewed:
        return
    try:
        with transaction.atomic():
            row = ERPConnection.objects.select_for_update().get(pk=connection_id)
            config = renew_config(row.config, renewed, today=timezone.now().date())
            change_connection(connection_id, actor=None, config=config, reason=REASON)
    except Fault as fault:
        # Unreadable since it was opened: the user who enters it again also decides about the keys.
        log.warning("renewal.not_done", connection_id=str(connection_id), reason=fault.message)
