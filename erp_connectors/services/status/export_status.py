"""Status summary of an export: its state in words, the reason, what to do, and the next action."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from erp_connectors.fault_records import hint_of
from erp_connectors.faults import ALREADY_PUBLISHED, CONNECTION_DISABLED
from erp_connectors.messages import NO_CONNECTION
from erp_connectors.models import LIVE_STATUSES, ERPExport
from erp_connectors.services.acks.dismiss import can_dismiss_export
from erp_connectors.services.acks.manual_answers import answerable
from erp_connectors.services.connections.endpoint import address_of
from erp_connectors.services.exports import deadlines
from erp_connectors.services.exports.deadlines import Deadline
from erp_connectors.services.exports.push import active_connections
from erp_connectors.services.exports.retry_rule import RetryRefusal, refuse_retry
from erp_connectors.services.status.event_texts import Tone, fault_text
from erp_connectors.services.status.status_summary import StatusSummary
from erp_connectors.services.status.unread_answers import UnreadAnswer, Why, unread_answers
from erp_connectors.states import ConnectionStatus, ExportStatus, FailedAs
from orderflow import clock
from orderflow.durations import duration
from orderflow.messages import text

PATIENCE_WITH_WORKERS = timedelta(minutes=5)


def current_export(exports: Sequence[ERPExport]) -> ERPExport | None:
    """Return the export that counts for its order: the live one, else the newest. ``exports``: oldest first."""
    live = (export for export in exports if export.status in LIVE_STATUSES)
    return next(live, exports[-1] if exports else None)


def summarize_export(export: ERPExport, exports: Sequence[ERPExport]) -> StatusSummary:
    """Return the summary. ``exports``: all of the order, oldest first."""
    if export.conflict_json:
        return _contradicted(export)
    found = _BY_EXPORT_STATUS[ExportStatus(export.status)](export)
    unread = unread_answers([export]).get(export.pk, ())
    if unread and current_export(exports) in (export, None):
        return _unread(found, unread)
    return _as_failed(found, export, exports) if export.status == ExportStatus.FAILED else found


def _pending(export: ERPExport) -> StatusSummary:
    connection, now = export.connection, clock.now()
    if connection.status == ConnectionStatus.DISABLED:
        kind = CONNECTION_DISABLED
        return _held({"code": kind.code}, None)
    if connection.circuit_open:
        return _held(connection.circuit_reason or {}, connection.retry_at)
    due = max((at for at in (export.next_attempt_at, connection.retry_at) if at), default=None)
    if due and due > now:
        return _tried_again(export.error_json or {}, due)
    waited = now - export.created_at
    if export.attempts == 0 and waited > PATIENCE_WITH_WORKERS:
        return StatusSummary(
            Tone.ERROR,
            _("Waiting to be sent; no worker has started it."),
            why=_("It has waited for %(time)s.") % {"time": duration(waited)},
            to_do=_("Check that the workers are running (manage.py run_workers)."),
        )
    return StatusSummary(
        Tone.WAITING, _("Being sent to the ERP."), why=_("A worker usually sends it within seconds.")
    )


def _tried_again(error: dict[str, Any], due: datetime) -> StatusSummary:
    return StatusSummary(
        Tone.WAITING,
        _("Waiting for the next attempt."),
        why=fault_text(error) or _("The ERP could not be reached."),
        to_do=hint_of(error) or _("Nothing to do yet: delivery is retried automatically."),
        due=due,
        due_label=_("Next attempt at"),
    )


def _held(reason: dict[str, Any], again: datetime | None) -> StatusSummary:
    return StatusSummary(
        Tone.ERROR,
        _("Held: nothing is sent over this connection."),
        why=fault_text(reason),
        to_do=hint_of(reason),
        due=again,
        due_label=_("Retried at") if again else "",
    )


def _sent(export: ERPExport) -> StatusSummary:
    state, allowed = (
        _("The ERP has the file and has not answered yet."),
        deadlines.deadline(export.connection),
    )
    if allowed is None or export.sent_at is None:
        return _without_deadline(export, state)
    due, known = export.sent_at + allowed.after, _how_known(allowed)
    if due > clock.now():
        to_do = _("Nothing to do yet.")
        return StatusSummary(
            Tone.WAITING, state, to_do=to_do, due=due, due_label=_("Answer due by"), note=known
        )
    return StatusSummary(
        Tone.ERROR,
        _(deadlines.MEANING),
        to_do=_(deadlines.HINT_ON_PAGE),
        action="mark-accepted",
        due=due,
        due_label=_("overdue since"),
        note=known,
    )


def _without_deadline(export: ERPExport, state: str) -> StatusSummary:
    if address_of(export.connection).reads_answers:
        return StatusSummary(
            Tone.WAITING,
            state,
            why=_("The usual response time of this ERP is not known yet, so nothing counts as overdue."),
            to_do=_(
                "Nothing to do yet. If the ERP team tells you its answer, record it on the export's page."
            ),
        )
    return StatusSummary(
        Tone.WAITING,
        state,
        why=_("The connection has no ack folder, so no answers are read."),
        to_do=_("If the ERP team tells you its answer, record it on the export's page."),
        action="mark-accepted",
    )


def _how_known(allowed: Deadline) -> str:
    how = _("learned from its answers") if allowed.learned else _("as configured")
    return f"{allowed.length}, {how}"


def _acked(export: ERPExport) -> StatusSummary:
    state = _("The ERP accepted the order as %(number)s.") % {"number": export.erp_order_id}
    return StatusSummary(Tone.GOOD, state, to_do=_("Nothing to do."))


def _failed(export: ERPExport) -> StatusSummary:
    error = export.error_json or {}
    states = {
        FailedAs.NOT_SENT: _("It was not sent and will not be retried automatically."),
        FailedAs.UNKNOWN: _("It failed, and it is not known if the ERP has the file."),
        FailedAs.REFUSED: _("The ERP refused the order."),
    }
    return StatusSummary(
        Tone.ERROR,
        states[FailedAs(export.failed_as)],
        why=fault_text(error),
        to_do=hint_of(error),
        action="retry",
    )


_BY_EXPORT_STATUS = {
    ExportStatus.PENDING: _pending,
    ExportStatus.SENT: _sent,
    ExportStatus.ACKED: _acked,
    ExportStatus.FAILED: _failed,
}


def _unread(found: StatusSummary, answers: Sequence[UnreadAnswer]) -> StatusSummary:
    """Show the unread answer as the reason why the export still waits."""
    newest = answers[-1]
    names = {"name": newest.name, "expected": newest.expected_name}
    if newest.why is Why.MISNAMED:
        return replace(
            found,
            tone=Tone.ERROR,
            state=_("An answer of the ERP has a wrong name and is not read."),
            why=_("“%(name)s” in the ack folder should be called “%(expected)s”.") % names,
            to_do=_(
                "Ask the ERP team to rename it and to use such names from now on. The next poll then reads it."
            ),
        )
    if newest.why is Why.NOT_READABLE_YET:
        return replace(
            found,
            tone=Tone.WAITING,
            state=_("An answer of the ERP has arrived and can't be read yet."),
            why=f"{newest.name}: {text(newest.reason)}",
            to_do=_("The next poll reads it again."),
        )
    return replace(
        found,
        tone=Tone.ERROR,
        state=_("An answer of the ERP has arrived but could not be read."),
        why=f"{newest.name}: {text(newest.reason)}",
        to_do=_(
            "Ask the ERP team to write the answer again under the same name. If they tell you the answer, "
            "record it on the export's page."
        ),
        action=found.action or "mark-accepted",
    )


def _as_failed(found: StatusSummary, export: ERPExport, exports: Sequence[ERPExport]) -> StatusSummary:
    """Ask for nothing if the order has continued without this export, and for no retry if none is allowed."""
    counts, draft = current_export(exports) or export, export.draft_order
    refusal = refuse_retry(
        draft, export.pk, newest_id=counts.pk, connected=lambda: active_connections([draft])
    )
    if refusal is RetryRefusal.SUPERSEDED:
        to_do = _("Nothing to do here: %(file)s is the current export of the order.") % {
            "file": counts.filename
        }
        return replace(found, tone=Tone.PLAIN, to_do=to_do, action="")
    if refusal in (RetryRefusal.ALREADY_PUSHED, RetryRefusal.WRONG_STATUS):
        to_do = _("Nothing to do here: the order is %(status)s.") % {"status": draft.get_status_display()}
        return replace(found, tone=Tone.PLAIN, to_do=to_do, action="")
    if (export.error_json or {}).get("code") == ALREADY_PUBLISHED.code:
        return replace(found, action="")
    if refusal is RetryRefusal.NO_CONNECTION:
        return replace(found, to_do=f"{found.to_do} {text(NO_CONNECTION)}", action="")
    return found


def _contradicted(export: ERPExport) -> StatusSummary:
    conflict = export.conflict_json or {}
    number = conflict.get("erp_order_id")
    template = _("%(file)s says accepted as %(number)s.") if number else _("%(file)s says refused.")
    said = template % {"file": conflict.get("file", ""), "number": number}
    if not answerable(export):
        return StatusSummary(
            Tone.ERROR,
            _("The ERP answered an export that is no longer current."),
            why=said,
            to_do=_(
                "Ask the ERP team if it has the order twice, or an old version of it. Then dismiss this alert."
            ),
            action="dismiss" if can_dismiss_export(export) else "",
        )
    return StatusSummary(
        Tone.ERROR,
        _("The ERP's answers contradict each other."),
        why=said,
        to_do=_("Ask the ERP team which answer is correct. Then record it on the export's page."),
        action="mark-accepted",
    )
