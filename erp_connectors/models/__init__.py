"""Connections, exports with their events, and the files of ack folders."""

from erp_connectors.models.ack_file import AckFile
from erp_connectors.models.connection import ERPConnection
from erp_connectors.models.export import (
    LIVE_STATUSES,
    ERPExport,
    ERPExportEvent,
    ERPExportQuerySet,
    add_events,
)

__all__ = [
    "LIVE_STATUSES",
    "AckFile",
    "ERPConnection",
    "ERPExport",
    "ERPExportEvent",
    "ERPExportQuerySet",
    "add_events",
]
