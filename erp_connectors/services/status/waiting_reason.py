"""Why an export is not sent yet."""

from typing import Any

from erp_connectors.fault_records import FaultRecord, as_api
from erp_connectors.faults import CONNECTION_DISABLED
from erp_connectors.models import ERPExport
from erp_connectors.states import ConnectionStatus, ExportStatus


def reason_for_waiting(export: ERPExport) -> dict[str, Any] | None:
    """Return code, parameters, message, hint and link of what a PENDING export waits for; None if nothing holds it."""
    if export.status != ExportStatus.PENDING:
        return None
    if export.connection.status == ConnectionStatus.DISABLED:
        return _shown({"code": CONNECTION_DISABLED.code})
    return _shown(export.connection.circuit_reason or export.error_json)


def _shown(record: FaultRecord | None) -> dict[str, Any] | None:
    shown = as_api(record)
    keys = ("code", "message", "hint", "params", "doc_url")
    return {key: shown.get(key, "") for key in keys} if shown else None
