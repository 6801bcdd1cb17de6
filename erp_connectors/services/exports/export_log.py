"""Log lines about exports, each with its own ids: the worker that logs them acts for many requests at once."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager

import structlog
from django.db import transaction

from erp_connectors.models import ERPConnection, ERPExport

log = structlog.get_logger("erp_connectors.exports")


def working_on(connection: ERPConnection) -> AbstractContextManager[None]:
    """Add the ids of the connection and its org to each log line within the block."""
    return structlog.contextvars.bound_contextvars(
        connection_id=str(connection.pk), org_id=str(connection.org_id)
    )


def log_all(event: str, exports: Iterable[ERPExport], **fields: object) -> None:
    """Log a line for each export once the transaction is committed."""
    log_each(event, [(export, fields) for export in exports])


def log_each(event: str, exports: Iterable[tuple[ERPExport, Mapping[str, object]]]) -> None:
    """Log one line for each export, with its own fields."""
    lines = [
        {
            "export_id": str(export.pk),
            "filename": export.filename,
            "draft_order_id": str(export.draft_order_id),
            "connection_id": str(export.connection_id),
            "org_id": str(export.org_id),
            **({"request_id": export.request_id} if export.request_id else {}),
            **fields,
        }
        for export, fields in exports
    ]

    def write() -> None:
        for line in lines:
            log.info(event, **line)

    if lines:
        transaction.on_commit(write)
