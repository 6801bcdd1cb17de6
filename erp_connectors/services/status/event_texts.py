"""Texts of recorded events, in the reader's language: one table for export events and the audit log."""

from dataclasses import dataclass
from enum import StrEnum

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from erp_connectors.fault_records import FaultRecord, cause_of
from orderflow.audit.models import Action


class Tone(StrEnum):
    """The tone of a text: plain, good, waiting, or error."""

    PLAIN = "plain"
    GOOD = "good"
    WAITING = "waiting"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class EventText:
    text: str
    tone: Tone = Tone.PLAIN


ACK_FOUND, ACK_FILED = "ack file found", "ack file filed"
FILE_REMOVED, ACK_REMOVED, EVENTS_REMOVED = "file removed", "ack file removed", "events removed"

# By the event's ``what``, or the audit entry's action.
EVENT_TEXTS: dict[str, EventText] = {
    Action.DRAFT_APPROVED: EventText(gettext_noop("The order was approved."), Tone.GOOD),
    Action.APPROVAL_REVERTED: EventText(
        gettext_noop("The approval was revoked. The order must be checked and approved again."),
        Tone.WAITING,
    ),
    Action.DRAFT_PUSH_RETRIED: EventText(gettext_noop("The push was requested again.")),
    "pushed": EventText(gettext_noop("The push to the ERP was requested.")),
    "moved": EventText(
        gettext_noop("The export was moved to another connection before its file was written.")
    ),
    "rendered": EventText(gettext_noop("The order's file was made.")),
    "staged": EventText(gettext_noop("The complete file was written to the dropzone.")),
    "published": EventText(gettext_noop("The file was published: the ERP can take it."), Tone.GOOD),
    "restored": EventText(
        gettext_noop("The database was restored from a backup; what became of the file since is not known."),
        Tone.ERROR,
    ),
    "resolved": EventText(gettext_noop("The unknown outcome of the file was resolved.")),
    "postponed": EventText(
        gettext_noop("The attempt failed and will be retried automatically."), Tone.WAITING
    ),
    "held": EventText(gettext_noop("Held: nothing is sent over this connection for now."), Tone.WAITING),
    "failed": EventText(gettext_noop("The export failed and needs attention."), Tone.ERROR),
    "overdue": EventText(gettext_noop("The ERP's answer is overdue."), Tone.ERROR),
    "acked": EventText(gettext_noop("The ERP accepted the order."), Tone.GOOD),
    "refused": EventText(gettext_noop("The ERP refused the order."), Tone.ERROR),
    "conflict": EventText(gettext_noop("Another answer of the ERP contradicts the first."), Tone.ERROR),
    "manual answer": EventText(gettext_noop("The ERP's answer was recorded manually.")),
    "dismissed": EventText(gettext_noop("Dismissed. Nothing to do."), Tone.GOOD),
    ACK_FOUND: EventText(gettext_noop("An ack file of the ERP was found.")),
    ACK_FILED: EventText(gettext_noop("The ack file was moved.")),
    FILE_REMOVED: EventText(gettext_noop("The content of the order's file was removed by retention.")),
    ACK_REMOVED: EventText(gettext_noop("The content of the ack file was removed by retention.")),
    EVENTS_REMOVED: EventText(
        gettext_noop(
            "Attempts and waiting times were removed from this timeline by retention. The steps that prove "
            "delivery and answer are kept."
        )
    ),
}


def event_text(code: str) -> EventText:
    """Return the text in the active language; an unknown code as it is."""
    known = EVENT_TEXTS.get(code, EventText(code))
    return EventText(_(known.text), known.tone)


def fault_text(record: FaultRecord | None) -> str:
    """Return what went wrong, with the ERP's error code if it gave one."""
    parts = [((record or {}).get("params") or {}).get("error_code"), cause_of(record)]
    return " — ".join(str(part) for part in parts if part)
