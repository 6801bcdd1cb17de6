"""Change the status of exports."""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import F, Value
from django.db.models.functions import Concat

from erp_connectors import counters
from erp_connectors.models import ERPExport, add_events
from erp_connectors.services.exports.export_log import tell
from erp_connectors.states import ExportStatus, Stage
from orderflow import clock
from orderflow.audit import services as audit
from orderflow.audit.models import Action
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus


def mark_sent(exports: Sequence[ERPExport], *, what: str, detail: str, folder: str) -> None:
    """PENDING -> SENT and the drafts PUSHED, for rows that the caller holds locked."""
    now = clock.now()
    ERPExport.objects.filter(pk__in=[export.pk for export in exports]).advance(
        ExportStatus.SENT,
        frm=ExportStatus.PENDING,
        sent_at=now,
        next_attempt_at=None,
        error_json=None,
        dropzone_path=Concat(Value(f"{folder.rstrip('/')}/"), F("filename")),
    )
    DraftOrder.objects.advance_all(
        [export.draft_order_id for export in exports], frm=DraftStatus.PUSHING, to=DraftStatus.PUSHED
    )
    add_events(exports, stage=Stage.PUBLISH, what=what, detail=detail, at=now)
    audit_published(exports)
    _observe_delivery(exports, now)
    tell("export.sent", exports, detail=detail)


def _observe_delivery(exports: Sequence[ERPExport], now: datetime) -> None:
    """How long each took from the push on."""
    pushed = ERPExport.objects.filter(pk__in=[export.pk for export in exports])
    began = pushed.values_list("created_at", flat=True)
    counters.observe(counters.Name.DELIVERY, [(now - at).total_seconds() for at in began])


def audit_published(exports: Sequence[ERPExport]) -> None:
    audit.record_many(
        audit.Entry(
            action=Action.DRAFT_PUSHED,
            org_id=export.org_id,
            entity_type="DraftOrder",
            entity_id=export.draft_order_id,
            after={"erp_export_id": str(export.pk), "filename": export.filename},
        )
        for export in exports
    )
