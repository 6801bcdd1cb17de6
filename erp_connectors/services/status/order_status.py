"""Status summary of an order: its state in words, the reason, what to do, and the next action."""

from collections.abc import Sequence

from django.utils.translation import gettext as _

from erp_connectors.messages import NO_CONNECTION
from erp_connectors.models import ERPExport
from erp_connectors.services.exports.push import active_connections
from erp_connectors.services.status.event_texts import Tone
from erp_connectors.services.status.export_status import current_export, summarize_export
from erp_connectors.services.status.status_summary import StatusSummary
from orderflow.messages import text
from orderflow.orders.models import DraftOrder
from orderflow.orders.readiness import missing_for_ready
from orderflow.orders.states import DraftStatus

SHOWN_GAPS = 5


def summarize_order(draft: DraftOrder, exports: Sequence[ERPExport]) -> StatusSummary:
    """``exports`` are all of the order, oldest first."""
    export = current_export(exports)
    on_its_way = (DraftStatus.PUSHING, DraftStatus.PUSHED, DraftStatus.ERROR)
    if export is not None and draft.status in on_its_way:
        return summarize_export(export, exports)
    return _BY_STATUS[DraftStatus(draft.status)](draft)


def _new(draft: DraftOrder) -> StatusSummary:
    return StatusSummary(Tone.WAITING, _("The order is being read."), to_do=_("Nothing to do yet."))


def _in_review(draft: DraftOrder) -> StatusSummary:
    missing = missing_for_ready(draft)
    state = _("The order needs review.")
    if not missing:
        to_do = _("Check and correct it, then mark it as ready. Or reject it.")
        return StatusSummary(Tone.WAITING, state, why=_("Nothing is missing."), to_do=to_do, action="ready")
    gaps = "; ".join(text(one) for one in missing[:SHOWN_GAPS])
    more = _(" and %(n)s more") % {"n": len(missing) - SHOWN_GAPS} if len(missing) > SHOWN_GAPS else ""
    return StatusSummary(
        Tone.WAITING,
        state,
        why=f"{gaps}{more}.",
        to_do=_("Fill in below what is missing and save; then mark it as ready. Or reject it."),
    )


def _ready(draft: DraftOrder) -> StatusSummary:
    return StatusSummary(
        Tone.WAITING,
        _("The order waits for approval."),
        why=_("It is complete and not approved yet."),
        to_do=_("Check it and approve it. Nothing is sent until it is pushed."),
        action="approve",
    )


def _rejected(draft: DraftOrder) -> StatusSummary:
    return StatusSummary(Tone.PLAIN, _("The order was rejected."), why=_("It is never sent. Nothing to do."))


def _approved(draft: DraftOrder) -> StatusSummary:
    state = _("The order is approved and not sent yet.")
    if not active_connections([draft]):
        return StatusSummary(Tone.ERROR, state, why=text(NO_CONNECTION))
    return StatusSummary(Tone.WAITING, state, to_do=_("Push it to the ERP."), action="push")


def _without_export(draft: DraftOrder) -> StatusSummary:
    # Only where rows were loaded from elsewhere, without their exports.
    return StatusSummary(Tone.ERROR, draft.get_status_display(), why=_("It has no export here."))


_BY_STATUS = {
    DraftStatus.NEW: _new,
    DraftStatus.EXTRACTED: _in_review,
    DraftStatus.NEEDS_REVIEW: _in_review,
    DraftStatus.READY: _ready,
    DraftStatus.REJECTED: _rejected,
    DraftStatus.APPROVED: _approved,
    DraftStatus.PUSHING: _without_export,
    DraftStatus.PUSHED: _without_export,
    DraftStatus.ERROR: _without_export,
}
