"""Every transition of an export with all its effects, as data. `exports/apply_transition.py` writes them.

`states.EXPORT_MOVES` says which status may follow which; a test checks that this table covers each of those pairs.
"""

from dataclasses import dataclass
from enum import StrEnum

from erp_connectors.counters import Name
from erp_connectors.outbox.events import Event
from erp_connectors.states import ExportStatus, FailedAs, Stage
from orderflow.audit.models import Action
from orderflow.orders.states import DraftStatus


class Entity(StrEnum):
    """The object of an audit entry."""

    ORDER = "DraftOrder"
    EXPORT = "ERPExport"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderMove:
    """Orders with another status than ``from_statuses`` stay as they are."""

    from_statuses: tuple[DraftStatus, ...]
    to: DraftStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One transition and its effects; an empty value means that there is no such effect.

    ``from_statuses``: empty if the export is created. ``from_failed_as``: None for any. ``stage``: None if the caller
    names it. ``counts_failure``: by the code of the fault. ``observes``: the histogram, if it is known how long it
    took. ``span``: in the trace of the push. The counter of exports by status is not listed: each change of status
    counts.
    """

    from_statuses: tuple[ExportStatus, ...]
    from_failed_as: FailedAs | None = None
    to: ExportStatus
    failed_as: FailedAs = FailedAs.NOT_FAILED
    order: OrderMove | None
    stage: Stage | None
    event: str
    audit: Action | None
    audit_of: Entity = Entity.ORDER
    counts_failure: bool = False
    observes: Name | None = None
    notifies: Event | None = None
    log: str
    span: str = ""


_S, _D = ExportStatus, DraftStatus
_PUSHED = OrderMove(from_statuses=(_D.PUSHING,), to=_D.PUSHED)
_IN_ERROR = OrderMove(from_statuses=(_D.PUSHING,), to=_D.ERROR)
# A late answer or a file that is found moves an order in ERROR, too.
_PUSHED_LATE = OrderMove(from_statuses=(_D.PUSHING, _D.ERROR), to=_D.PUSHED)

# fmt: off
PUSH = Transition(
    from_statuses=(), to=_S.PENDING, order=OrderMove(from_statuses=(_D.APPROVED,), to=_D.PUSHING),
    stage=Stage.QUEUED, event="pushed", audit=Action.DRAFT_PUSH_REQUESTED, log="export.pushed",
)
RETRY = Transition(
    from_statuses=(), to=_S.PENDING, order=OrderMove(from_statuses=(_D.ERROR,), to=_D.PUSHING),
    stage=Stage.QUEUED, event="pushed", audit=Action.DRAFT_PUSH_RETRIED, log="export.pushed",
)
PUBLISH = Transition(
    from_statuses=(_S.PENDING,), to=_S.SENT, order=_PUSHED,
    stage=Stage.PUBLISH, event="published", audit=Action.DRAFT_PUSHED, observes=Name.DELIVERY, log="export.sent",
)
# When the file was published is not known, so its delivery time is not observed.
RESOLVE_AS_PUBLISHED = Transition(
    from_statuses=(_S.FAILED,), from_failed_as=FailedAs.UNKNOWN, to=_S.SENT, order=_PUSHED_LATE,
    stage=Stage.RESOLVE, event="resolved", audit=Action.DRAFT_PUSHED, log="export.sent",
)
RESOLVE_AS_NOT_SENT = Transition(
    from_statuses=(_S.FAILED,), from_failed_as=FailedAs.UNKNOWN, to=_S.FAILED, failed_as=FailedAs.NOT_SENT, order=None,
    stage=Stage.RESOLVE, event="resolved", audit=None, log="export.not_sent",
)
FAIL = Transition(
    from_statuses=(_S.PENDING,), to=_S.FAILED, failed_as=FailedAs.NOT_SENT, order=_IN_ERROR,
    stage=None, event="failed", audit=Action.DRAFT_PUSH_FAILED, counts_failure=True, notifies=Event.EXPORT_FAILED,
    log="export.failed", span="export failed",
)
FAIL_OUTCOME_UNKNOWN = Transition(
    from_statuses=(_S.PENDING,), to=_S.FAILED, failed_as=FailedAs.UNKNOWN, order=_IN_ERROR,
    stage=None, event="failed", audit=Action.DRAFT_PUSH_FAILED, counts_failure=True, notifies=Event.EXPORT_FAILED,
    log="export.failed", span="export failed",
)
# An earlier export of the order reached the ERP: that one moves the order, and no user has to act.
FAIL_SUPERSEDED = Transition(
    from_statuses=(_S.PENDING,), to=_S.FAILED, failed_as=FailedAs.NOT_SENT, order=None,
    stage=Stage.RESOLVE, event="failed", audit=Action.DRAFT_PUSH_FAILED, counts_failure=True,
    log="export.failed", span="export failed",
)
# As before, but the order was edited since: the ERP holds the older version, and a user decides.
RETURN_EDITED = Transition(
    from_statuses=(_S.FAILED,), from_failed_as=FailedAs.NOT_SENT, to=_S.FAILED, failed_as=FailedAs.NOT_SENT,
    order=OrderMove(from_statuses=(_D.PUSHED,), to=_D.ERROR),
    stage=Stage.RESOLVE, event="", audit=None, notifies=Event.EXPORT_FAILED, log="",
)
ACCEPT = Transition(
    from_statuses=(_S.SENT, _S.FAILED), to=_S.ACKED, order=_PUSHED_LATE,
    stage=Stage.ACK, event="acked", audit=Action.EXPORT_ACKED, audit_of=Entity.EXPORT, observes=Name.ACK,
    log="export.acked", span="answer acked",
)
REFUSE = Transition(
    from_statuses=(_S.SENT, _S.FAILED), to=_S.FAILED, failed_as=FailedAs.REFUSED,
    order=OrderMove(from_statuses=(_D.PUSHED,), to=_D.ERROR),
    stage=Stage.ACK, event="refused", audit=Action.EXPORT_REFUSED, audit_of=Entity.EXPORT, counts_failure=True,
    observes=Name.ACK, notifies=Event.EXPORT_REFUSED, log="export.refused", span="answer refused",
)

# After the database was restored from a backup: exports that may have gone out since.
MARK_UNKNOWN = Transition(
    from_statuses=(_S.PENDING,), to=_S.FAILED, failed_as=FailedAs.UNKNOWN, order=_IN_ERROR,
    stage=Stage.RESOLVE, event="restored", audit=Action.DRAFT_PUSH_FAILED, counts_failure=True,
    notifies=Event.EXPORT_FAILED, log="export.failed",
)
# An export that the database lacks and whose copy the archive has; `transitions.adopt` sets the order to ERROR.
ADOPT = Transition(
    from_statuses=(), to=_S.FAILED, failed_as=FailedAs.UNKNOWN, order=None,
    stage=Stage.RESOLVE, event="restored", audit=Action.DRAFT_PUSH_FAILED, counts_failure=True,
    notifies=Event.EXPORT_FAILED, log="export.failed",
)
# Its predecessors: an adopted export is newer, so one that waits was never sent, and one that was sent was refused.
REPLACE_WAITING = Transition(
    from_statuses=(_S.PENDING,), to=_S.FAILED, failed_as=FailedAs.NOT_SENT, order=None,
    stage=Stage.RESOLVE, event="restored", audit=Action.DRAFT_PUSH_FAILED, counts_failure=True, log="export.failed",
)
REPLACE_SENT = Transition(
    from_statuses=(_S.SENT,), to=_S.FAILED, failed_as=FailedAs.REFUSED, order=None,
    stage=Stage.RESOLVE, event="restored", audit=Action.EXPORT_REFUSED, audit_of=Entity.EXPORT, counts_failure=True,
    log="export.refused",
)
# fmt: on

TRANSITIONS = (
    PUSH, RETRY, PUBLISH, RESOLVE_AS_PUBLISHED, RESOLVE_AS_NOT_SENT, FAIL, FAIL_OUTCOME_UNKNOWN, FAIL_SUPERSEDED,
    RETURN_EDITED, ACCEPT, REFUSE, MARK_UNKNOWN, ADOPT, REPLACE_WAITING, REPLACE_SENT,
)  # fmt: skip
