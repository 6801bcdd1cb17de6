"""Status summary of an ack file, and what a user has to do about it."""

from django.utils.translation import gettext as _

from erp_connectors.models import AckFile
from erp_connectors.services.acks.dismiss import can_dismiss_ack
from erp_connectors.services.status.event_texts import Tone
from erp_connectors.services.status.status_summary import StatusSummary
from erp_connectors.states import AckFileStatus
from orderflow.audit.models import Action, AuditLog
from orderflow.messages import text


def summarize_ack(ack: AckFile) -> StatusSummary:
    if ack.dismissed_at is not None:
        return _dismissed(ack)
    if ack.status == AckFileStatus.CONFLICT and ack.export and ack.export.conflict_json:
        to_do = _("The page of its export says what to do.")
        return StatusSummary(Tone.ERROR, _("It contradicts an earlier answer."), to_do=to_do)
    if can_dismiss_ack(ack):
        return StatusSummary(Tone.ERROR, *_wrong(ack), action="dismiss")
    if ack.status == AckFileStatus.WAITING:
        return StatusSummary(Tone.WAITING, _("The next poll reads it again."), why=text(ack.reason))
    return StatusSummary(Tone.GOOD, _("It was read and recorded."), to_do=_("Nothing to do."))


def _wrong(ack: AckFile) -> tuple[str, str, str]:
    """Return the problem, its reason, and what to do."""
    if ack.status == AckFileStatus.MALFORMED:
        to_do = _(
            "Have the ERP team write the file again, or record the answer on the export's page. Then "
            "dismiss this alert."
        )
        return _("It is malformed, so it changed nothing."), text(ack.reason), to_do
    if ack.status == AckFileStatus.UNMATCHED:
        to_do = _("Ask the ERP team which order it means. Then dismiss this alert.")
        return _("It answers none of our exports, so it changed nothing."), text(ack.reason), to_do
    if ack.stays:
        to_do = _(
            "Ask the server's operator for the right to move files in the ack folder, or have it removed."
        )
        return _("It was read but could not be moved. Moving is retried."), text(ack.reason), to_do
    return (
        _("It contradicts an earlier answer."),
        text(ack.reason),
        _("When this is resolved, dismiss the alert."),
    )


def _dismissed(ack: AckFile) -> StatusSummary:
    """Show who dismissed it, with the note; it has no entry of its own if it was dismissed with its export."""
    entries = AuditLog.objects.for_org(ack.org_id).filter(
        entity_type="AckFile", entity_id=str(ack.pk), action=Action.DISMISSED
    )
    entry = entries.select_related("actor").order_by("-created_at").first()
    said = f"{entry.actor}: {(entry.after or {}).get('note', '')}" if entry else ""
    return StatusSummary(
        Tone.GOOD, _("Dismissed. Nothing to do."), why=said,
        due=ack.dismissed_at, due_label=_("Dismissed on"),
    )  # fmt: skip
