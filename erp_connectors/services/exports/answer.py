"""An answer of the ERP to one export, from an ack file or recorded by a user."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from erp_connectors.faults import REFUSED_BY_ERP
from erp_connectors.models import ERPExport
from erp_connectors.port_types import Ack
from erp_connectors.states import Stage
from orderflow.messages import Message
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
            "params": self._refusal_params(),
            "stage": Stage.ACK,
            "attempt": self.export.attempts,
            "time": at.isoformat(),
            "processed_at": ack.processed_at.isoformat() if ack.processed_at else None,
        }

    def refusal_message(self) -> Message | None:
        """Return the ERP's reason for a refusal as the message of its event; None if it gave none."""
        params = self._refusal_params()
        return Message("event.refused", **params) if params else None

    def conflict_message(self) -> Message:
        """Return the answer as the message of the event of a contradiction."""
        if self.ack.accepted:
            return Message("event.conflict_accepted", source=self.source, number=self.ack.erp_order_id)
        return Message("event.conflict_refused", source=self.source, **self._refusal_params())

    def _refusal_params(self) -> dict[str, str]:
        """Return what the ERP gave as the reason of a refusal."""
        params = {"error_code": self.ack.error_code, "message": self.ack.message}
        return {name: value for name, value in params.items() if value}

    def summary(self) -> str:
        """Return the answer in English, for log lines."""
        ack = self.ack
        return (
            f"accepted as {ack.erp_order_id}" if ack.accepted else f"refused: {ack.error_code} {ack.message}"
        )
