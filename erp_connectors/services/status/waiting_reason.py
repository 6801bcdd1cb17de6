"""Why an export is not sent yet."""

from typing import Any

from erp_connectors.faults import CONNECTION_DISABLED
from erp_connectors.models import ERPExport
from erp_connectors.states import ConnectionStatus, ExportStatus


def reason_for_waiting(export: ERPExport) -> dict[str, Any] | None:
    """Return code, message and hint of what a PENDING export waits for; None if nothing holds it."""
    if export.status != ExportStatus.PENDING:
        return None
    if export.connection.status == ConnectionStatus.DISABLED:
        kind = CONNECTION_DISABLED
        return {"code": kind.code, "message": kind.meaning, "hint": kind.hint}
    reason = export.connection.circuit_reason or export.error_json
    return {key: reason.get(key, "") for key in ("code", "message", "hint")} if reason else None
