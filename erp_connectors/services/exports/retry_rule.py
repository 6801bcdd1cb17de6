"""Decide whether the push of an export may be retried, and say why not or what a retry does.

The one rule for commands, API, admin, bulk runs and status pages. It reads nothing: callers pass what they have read.
"""

from collections.abc import Callable
from enum import StrEnum, auto
from uuid import UUID

from erp_connectors.messages import NO_CONNECTION
from erp_connectors.models import ERPExport
from erp_connectors.states import FailedAs
from orderflow.messages import Message
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus

# An order with one of these statuses has an export that is under way or done.
ALREADY_PUSHED = frozenset({DraftStatus.PUSHING, DraftStatus.PUSHED})

# What a retry does, by how the export failed.
RETRY_EFFECTS = {
    FailedAs.NOT_SENT: Message("retry.sends_again"),
    FailedAs.REFUSED: Message("retry.sends_refused"),
    FailedAs.UNKNOWN: Message("retry.sends_if_unpublished"),
}


class RetryRefusal(StrEnum):
    """Why a push can't be retried. The first that applies counts."""

    SUPERSEDED = auto()
    ALREADY_PUSHED = auto()
    WRONG_STATUS = auto()
    NO_CONNECTION = auto()


def refuse_retry(
    draft: DraftOrder, export_id: UUID | None, *, newest_id: UUID | None, connected: Callable[[], object]
) -> RetryRefusal | None:
    """Return why the push can't be retried; None if it may be.

    ``newest_id``: the order's newest export; None if it has none. ``connected`` says if the order's org has an active
    connection; it is called last.
    """
    if export_id != newest_id:
        return RetryRefusal.SUPERSEDED
    if draft.status != DraftStatus.ERROR:
        pushed = draft.status in ALREADY_PUSHED and newest_id is not None
        return RetryRefusal.ALREADY_PUSHED if pushed else RetryRefusal.WRONG_STATUS
    return None if connected() else RetryRefusal.NO_CONNECTION


def refusal_message(refusal: RetryRefusal, draft: DraftOrder, newest_id: UUID | None) -> Message:
    """Return the reason."""
    match refusal:
        case RetryRefusal.SUPERSEDED:
            return Message("retry.superseded", export=str(newest_id))
        case RetryRefusal.ALREADY_PUSHED:
            return already_pushed(draft, newest_id)
        case RetryRefusal.WRONG_STATUS:
            return Message("retry.not_in_error", order=str(draft), status=draft.status)
        case RetryRefusal.NO_CONNECTION:
            return NO_CONNECTION


def already_pushed(draft: DraftOrder, newest_id: UUID | None) -> Message:
    code = "push.on_its_way" if draft.status == DraftStatus.PUSHING else "push.sent_before"
    return Message(code, order=str(draft), export=str(newest_id))


def retry_effect(export: ERPExport | None) -> Message:
    """Return what a retry does if this is the order's newest export."""
    return RETRY_EFFECTS[FailedAs(export.failed_as) if export and export.failed_as else FailedAs.NOT_SENT]
