"""The whole life of an export on one page, as data.

    PENDING -> SENT -> ACKED
       |         `---> FAILED (refused by the ERP)
       `-------------> FAILED (not sent, or outcome unknown)

FAILED is left again only when a later fact resolves it: the file turns out published, or the ERP answers after all.
"""

from enum import StrEnum
from typing import NamedTuple

from django.db import models
from django.utils.translation import gettext_lazy as _


class ConnectionStatus(models.TextChoices):
    ACTIVE = "ACTIVE", _("Active")
    DISABLED = "DISABLED", _("Disabled")


class ExportStatus(models.TextChoices):
    PENDING = "PENDING", _("Pending")
    SENT = "SENT", _("Sent")
    ACKED = "ACKED", _("Acked")
    FAILED = "FAILED", _("Failed")


class FailedAs(models.TextChoices):
    """Why an export is FAILED: what the ERP can be holding."""

    NOT_FAILED = "", "-"
    NOT_SENT = "NOT_SENT", _("Not sent")
    UNKNOWN = "UNKNOWN", _("Outcome unknown")
    REFUSED = "REFUSED", _("Refused by the ERP")


EXPORT_MOVES: dict[ExportStatus, frozenset[ExportStatus]] = {
    ExportStatus.PENDING: frozenset({ExportStatus.SENT, ExportStatus.FAILED}),
    ExportStatus.SENT: frozenset({ExportStatus.ACKED, ExportStatus.FAILED}),
    ExportStatus.FAILED: frozenset({ExportStatus.SENT, ExportStatus.ACKED, ExportStatus.FAILED}),
    ExportStatus.ACKED: frozenset(),
}


class Stage(StrEnum):
    """The steps of a delivery, as events and ``error_json`` name them."""

    QUEUED = "queued"
    CONNECT = "connect"
    RESOLVE = "resolve"
    RENDER = "render"
    ARCHIVE = "archive"
    STAGE = "stage"
    PUBLISH = "publish"
    ACK = "ack"


class AckableState(StrEnum):
    """The state of an export when an answer arrives."""

    NOT_STAGED = "pending, not staged"
    STAGED = "pending, staged"
    SENT = "sent"
    ACKED = "acked"
    REFUSED = "refused by the ERP"
    UNSENT = "failed before it was sent, or outcome unknown"


class Answer(StrEnum):
    ACCEPTED = "accepted"
    REFUSED = "refused"


class Decision(StrEnum):
    WAIT = "wait"
    ACCEPT = "accept"
    REFUSE = "refuse"
    NOTHING = "nothing"
    CONFLICT = "conflict"


class Case(NamedTuple):
    state: AckableState
    answer: Answer


# An answer proves that the file was published, so a STAGED export passes through SENT on its way.
ACK_DECISIONS: dict[Case, Decision] = {
    Case(AckableState.NOT_STAGED, Answer.ACCEPTED): Decision.WAIT,
    Case(AckableState.NOT_STAGED, Answer.REFUSED): Decision.WAIT,
    Case(AckableState.STAGED, Answer.ACCEPTED): Decision.ACCEPT,
    Case(AckableState.STAGED, Answer.REFUSED): Decision.REFUSE,
    Case(AckableState.SENT, Answer.ACCEPTED): Decision.ACCEPT,
    Case(AckableState.SENT, Answer.REFUSED): Decision.REFUSE,
    Case(AckableState.ACKED, Answer.ACCEPTED): Decision.NOTHING,
    Case(AckableState.ACKED, Answer.REFUSED): Decision.CONFLICT,
    Case(AckableState.REFUSED, Answer.ACCEPTED): Decision.ACCEPT,
    Case(AckableState.REFUSED, Answer.REFUSED): Decision.NOTHING,
    Case(AckableState.UNSENT, Answer.ACCEPTED): Decision.ACCEPT,
    Case(AckableState.UNSENT, Answer.REFUSED): Decision.REFUSE,
}

# A newer export has replaced this one: its answers are shown to users, and change nothing.
REPLACED_ACK_DECISIONS: dict[Case, Decision] = {
    case: Decision.NOTHING if decision is Decision.NOTHING else Decision.CONFLICT
    for case, decision in ACK_DECISIONS.items()
}


def decide_ack(case: Case, *, replaced: bool, same_order_id: bool) -> Decision:
    """Return what an ack does. ``same_order_id``: it has the recorded ERP number, or none is recorded."""
    decision = (REPLACED_ACK_DECISIONS if replaced else ACK_DECISIONS)[case]
    if case == Case(AckableState.ACKED, Answer.ACCEPTED) and not same_order_id:
        return Decision.CONFLICT
    return decision


class AckFileStatus(models.TextChoices):
    """Result of a file in an ack folder."""

    WAITING = "WAITING", _("Waiting")
    APPLIED = "APPLIED", _("Applied")
    REPEATED = "REPEATED", _("Repeated")
    CONFLICT = "CONFLICT", _("Conflict")
    UNMATCHED = "UNMATCHED", _("Matches no export")
    MALFORMED = "MALFORMED", _("Malformed")


# Ack files that need attention until a user dismisses the alert.
UNRESOLVED_ACKS = (AckFileStatus.CONFLICT, AckFileStatus.MALFORMED, AckFileStatus.UNMATCHED)
