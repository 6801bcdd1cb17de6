"""The proof from our records that a file was handed to the ERP, and how each fact is known."""

from dataclasses import dataclass

from django.db.models import Q

from erp_connectors.archive import ArchiveAltered, ArchiveUnavailable, open_verified
from erp_connectors.dropzone_paths import folder_of, join
from erp_connectors.models import ERPExport, ERPExportEvent
from erp_connectors.services.acks.apply import MANUAL_ANSWER
from erp_connectors.services.connections.endpoint import DropzoneAddress, address_of
from erp_connectors.services.status.export_files import AckContent, acks_of
from erp_connectors.states import AckFileStatus
from orderflow.audit.models import Action, AuditLog
from orderflow.messages import text

SHOWN_ACK_SIGNS = 900
SHOWN_NOTE_SIGNS = 300


@dataclass(frozen=True, slots=True)
class Proof:
    """``inferred``: how it is known that the file was published, if not by our own rename.

    ``archive_ok`` None: there was no way to look. ``server``, ``host_key`` as recorded when the file was written, empty
    where that was not recorded; ``target`` is the connection as it is configured now.
    """

    export: ERPExport
    sent: bool
    path: str
    approved_by: str
    server: str
    host_key: str
    address: DropzoneAddress
    inferred: str
    archive_ok: bool | None
    ack: AckContent | None
    other_acks: tuple[AckContent, ...]
    manual_answer: str
    manual_answer_by: str

    @property
    def ack_text(self) -> str:
        return self.ack.text[:SHOWN_ACK_SIGNS] if self.ack else ""

    @property
    def ack_cut(self) -> bool:
        return self.ack is not None and (self.ack.cut or len(self.ack.text) > SHOWN_ACK_SIGNS)


def proof_of(export: ERPExport) -> Proof:
    """``export`` with its order, connection, org and who asked for it."""
    ack_files = acks_of(export)
    applied = next(
        (ack_file for ack_file in reversed(ack_files) if ack_file.ack.status == AckFileStatus.APPLIED), None
    )
    published = bool(export.sent_at and (export.dropzone_path or applied))
    events = ERPExportEvent.objects.filter(export=export, what__in=("published", "resolved", MANUAL_ANSWER))
    last = {event.what: event for event in events.select_related("actor").order_by("id")}
    manual = last.get(MANUAL_ANSWER)
    server = export.staged_destination.partition("|")[0]
    return Proof(
        export=export,
        sent=published,
        path=export.dropzone_path or _final(export.staged_path, export.filename),
        approved_by=_approved_by(export),
        server="" if server.startswith("file:") else server,
        host_key=export.staged_host_key,
        address=address_of(export.connection),
        inferred=_message_of(last.get("published")) or _message_of(last.get("resolved")),
        archive_ok=_archived_as_recorded(export) if published else None,
        ack=applied,
        other_acks=tuple(ack_file for ack_file in ack_files if ack_file is not applied),
        manual_answer=_message_of(manual)[:SHOWN_NOTE_SIGNS],
        manual_answer_by=manual.actor.email if manual and manual.actor else "",
    )


def _message_of(event: ERPExportEvent | None) -> str:
    return text(event.message) if event and event.message else ""


def _final(staged_path: str, filename: str) -> str:
    return join(folder_of(staged_path), filename) if staged_path else ""


def _approved_by(export: ERPExport) -> str:
    """Return the user whose approval the export was pushed with: the order may have been approved again since."""
    draft = export.draft_order
    if draft.approved_by and draft.approved_at == export.approved_at:
        return draft.approved_by.email
    entries = AuditLog.objects.for_org(export.org_id).filter(
        Q(entity_type="DraftOrder", entity_id=str(draft.pk), action=Action.DRAFT_APPROVED),
        created_at__lte=export.created_at,
    )
    entry = entries.select_related("actor").order_by("-created_at").first()
    return entry.actor.email if entry and entry.actor else ""


def _archived_as_recorded(export: ERPExport) -> bool | None:
    if export.payload_removed_at or export.payload is not None:
        return None
    try:
        open_verified(export.export_storage_key, expected_sha256=export.sha256).close()
    except ArchiveUnavailable:
        return None
    except ArchiveAltered:
        return False
    return True
