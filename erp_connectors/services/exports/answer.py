"""An answer of the ERP to one export, from an ack file or recorded by a user."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from erp_connectors.faults import REFUSED_BY_ERP
from erp_connectors.models import ERPExport
from erp_connectors.port_types import Ack
from erp_connectors.states import Stage
from orderflow.tenancy.models import User


@dataclass(frozen=True, slots=True)
class AnswerToApply:
    """``source``: the name of the ack file, or the e-mail of the user who recorded the answer with a note."""

    export: ERPExport
    ack: Ack
    source: str
    recorded_by: User | None = None
    note: str = ""

    def refusal(self, *, at: datetime) -> dict[str, Any]:
        """Return the ``error_json`` of an export that this answer refuses."""
        ack = self.ack
        return {
            "code": REFUSED_BY_ERP.code,
            "message": ack.message or REFUSED_BY_ERP.meaning,
            "hint": REFUSED_BY_ERP.hint,
            "stage": Stage.ACK,
            "attempt": self.export.attempts,
            "time": at.isoformat(),
            "error_code": ack.error_code,
            "processed_at": ack.processed_at.isoformat() if ack.processed_at else None,
        }

    def summary(self) -> str:
        """Return the answer in English, for events and log lines."""
        ack = self.ack
        return (
            f"accepted as {ack.erp_order_id}" if ack.accepted else f"refused: {ack.error_code} {ack.message}"
        )
