"""Decide whether the push of an export may be retried, and say why not or what a retry does.

The one rule for commands, API, admin, bulk runs and status pages. It reads nothing: callers pass what they have read.
"""

from collections.abc import Callable
from enum import StrEnum, auto
from uuid import UUID

from django.utils.translation import gettext_noop

from erp_connectors.messages import NO_CONNECTION
from erp_connectors.models import ERPExport
from erp_connectors.states import FailedAs
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus

# An order with one of these statuses has an export that is under way or done.
ALREADY_PUSHED = frozenset({DraftStatus.PUSHING, DraftStatus.PUSHED})

# What a retry does, by how the export failed.
RETRY_EFFECTS = {
    FailedAs.NOT_SENT: gettext_noop("It was not sent: it is rendered anew and sent."),
    FailedAs.REFUSED: gettext_noop("The ERP refused it: it is rendered anew and sent."),
    FailedAs.UNKNOWN: gettext_noop(
        "Whether it reached the ERP is not known: it is sent only if the first file did not."
    ),
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


def refusal_text(refusal: RetryRefusal, draft: DraftOrder, newest_id: UUID | None) -> str:
    """Return the reason in English; each is one of the sentences in `erp_connectors.messages`."""
    match refusal:
        case RetryRefusal.SUPERSEDED:
            return f"A newer export of the order counts: {newest_id}."
        case RetryRefusal.ALREADY_PUSHED:
            return already_pushed_text(draft, newest_id)
        case RetryRefusal.WRONG_STATUS:
            return f"Order {draft} is {draft.status}: only an order in ERROR can be retried."
        case RetryRefusal.NO_CONNECTION:
            return NO_CONNECTION


def already_pushed_text(draft: DraftOrder, newest_id: UUID | None) -> str:
    if draft.status == DraftStatus.PUSHING:
        return f"Order {draft} is on its way: export {newest_id}."
    return f"Order {draft} was sent already: export {newest_id}."


def retry_effect(export: ERPExport | None) -> str:
    """Return in English what a retry does if this is the order's newest export."""
    return RETRY_EFFECTS[FailedAs(export.failed_as) if export and export.failed_as else FailedAs.NOT_SENT]
