"""Outcome unknown: find out whether an export that FAILED after STAGED was published, before its order is sent again.

Its temporary file is moved to a name that no worker publishes. Either that move or the rename succeeds, never both,
and each leaves a proof. So every later check has the same result.
"""

from collections.abc import Sequence
from enum import StrEnum

from django.db import transaction

from erp_connectors import leases
from erp_connectors.common_fields import Dropzone
from erp_connectors.crashpoints import crashpoint
from erp_connectors.dropzone_paths import is_temporary
from erp_connectors.dropzones import dropzone_of
from erp_connectors.faults import (
    ALREADY_PUBLISHED,
    FOLDER_UNSTABLE,
    NAME_TAKEN,
    NOT_FOUND,
    Fault,
)
from erp_connectors.models import ERPExport
from erp_connectors.port_types import Move
from erp_connectors.services.acks.contradictions import waiting_answer
from erp_connectors.services.connections.credential_rollover import link
from erp_connectors.services.delivery import done_markers
from erp_connectors.services.delivery.context import Delivery, Failure
from erp_connectors.services.exports import transitions
from erp_connectors.services.exports.paths import destination, moved, staying_at, withdrawn_path
from erp_connectors.states import FailedAs, Stage
from erp_connectors.transports.base import Transport
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus


class Verdict(StrEnum):
    PUBLISHED = "published"
    NOT_SENT = "not sent"


def settle_failed(delivery: Delivery, exports: Sequence[ERPExport]) -> None:
    """Find out at once whether exports that have just FAILED were published, if the session still works."""
    unknown = [export for export in exports if export.failed_as == FailedAs.UNKNOWN]
    if not unknown:
        return
    here = delivery.destination
    verdicts = _verdicts(delivery.transport, delivery.dropzone, unknown)
    published = [
        export for export, verdict in zip(unknown, verdicts, strict=True) if verdict is Verdict.PUBLISHED
    ]
    not_sent = [
        export for export, verdict in zip(unknown, verdicts, strict=True) if verdict is Verdict.NOT_SENT
    ]
    with staying_at(delivery.transport, delivery.dropzone, here):
        (published,), _ = done_markers.mark(delivery, published)
    with transaction.atomic():
        leases.renew(delivery.lease)
        transitions.find_published(_still_in_error(published))
        transitions.find_not_sent(not_sent)
    delivery.transport.remove([withdrawn_path(export) for export in not_sent])


def _still_in_error(exports: Sequence[ERPExport]) -> list[ERPExport]:
    """Return the exports whose order still is in ERROR, and lock them and these orders.

    An order that a user has pushed again or is editing has to keep its outcome unknown: it is settled before the new
    export is sent. The exports are locked first, as when an answer is applied: else both could wait for each other.
    """
    rows = ERPExport.objects.filter(pk__in=[export.pk for export in exports])
    list(rows.select_for_update(of=("self",)).order_by("pk").values_list("pk"))
    orders = DraftOrder.objects.filter(pk__in=[export.draft_order_id for export in exports])
    in_error = orders.filter(status=DraftStatus.ERROR).select_for_update(of=("self",)).order_by("pk")
    found = set(in_error.values_list("pk", flat=True))
    return [export for export in exports if export.draft_order_id in found]


def settle_predecessors(
    delivery: Delivery, exports: Sequence[ERPExport]
) -> tuple[list[ERPExport], list[Failure]]:
    """Settle the unknown outcomes of earlier exports of these orders. Return those that may be sent, and failures."""
    unknown = ERPExport.objects.filter(
        draft_order__in=[export.draft_order_id for export in exports], failed_as=FailedAs.UNKNOWN
    ).select_related("connection")
    earlier = {export.draft_order_id: export for export in unknown.order_by("created_at")}
    free, failures = [], []
    for export in exports:
        predecessor = earlier.get(export.draft_order_id)
        fault = _settle_one(delivery, export, predecessor) if predecessor else None
        if fault is None:
            free.append(export)
        elif fault.kind is not ALREADY_PUBLISHED:
            elsewhere = predecessor is not None and predecessor.connection_id != export.connection_id
            failures.append(Failure(export, fault, Stage.SETTLE, elsewhere))
    return free, failures


def _settle_one(delivery: Delivery, export: ERPExport, predecessor: ERPExport) -> Fault | None:
    """None: the order may be sent. ALREADY_PUBLISHED: it must not, and both rows say so now."""
    if (predecessor.conflict_json or {}).get("answer") is not None:
        verdict: Verdict | Fault = Verdict.PUBLISHED
    elif predecessor.connection_id == delivery.connection.pk:
        verdict = _where_it_was_staged(delivery.transport, delivery.dropzone, predecessor)
    else:
        verdict = _elsewhere(predecessor)
    crashpoint("settled-before-commit")
    if isinstance(verdict, Fault):
        return verdict
    with transaction.atomic():
        leases.renew(delivery.lease)
        if verdict is Verdict.PUBLISHED:
            return _give_way(export, predecessor)
        transitions.find_not_sent([predecessor])
    if predecessor.staged_destination == delivery.destination:
        delivery.transport.remove([withdrawn_path(predecessor)])
    return None


def _where_it_was_staged(transport: Transport, dropzone: Dropzone, export: ERPExport) -> Verdict | Fault:
    (verdict,) = _verdicts(transport, dropzone, [export])
    if verdict is not Verdict.PUBLISHED:
        return verdict
    with staying_at(transport, dropzone, export.staged_destination):
        (unmarked,) = done_markers.write(transport, dropzone, [export])
    return unmarked or verdict


def _elsewhere(export: ERPExport) -> Verdict | Fault:
    try:
        dropzone = dropzone_of(export.connection)
        with link(export.connection_id, dropzone) as transport:
            transport.open()
            return _where_it_was_staged(transport, dropzone, export)
    except Fault as fault:
        return fault


def _verdicts(
    transport: Transport, dropzone: Dropzone, exports: Sequence[ERPExport]
) -> list[Verdict | Fault]:
    """Look for what STAGED left, in the very folder where it was staged and in no other."""
    here = destination(transport, dropzone)
    with staying_at(transport, dropzone, here):
        judged = iter(_judge(transport, [export for export in exports if export.staged_destination == here]))
    return [next(judged) if export.staged_destination == here else moved(export) for export in exports]


def _judge(transport: Transport, exports: Sequence[ERPExport]) -> list[Verdict | Fault]:
    moves = [Move(export.staged_path, withdrawn_path(export)) for export in exports]
    atomic = [is_temporary(export.staged_path) for export in exports]
    # `publish` is the atomic rename; `move` may link and unlink, and a crash between the two would leave both names.
    outcomes = iter(transport.publish([move for move, yes in zip(moves, atomic, strict=True) if yes]))
    # Written under its final name there is no receipt: that mode promises at least once.
    return [
        _verdict(transport, move, next(outcomes)) if yes else Verdict.NOT_SENT
        for move, yes in zip(moves, atomic, strict=True)
    ]


def _verdict(transport: Transport, move: Move, outcome: Fault | None) -> Verdict | Fault:
    if outcome is None:
        return Verdict.NOT_SENT
    if outcome.kind is NAME_TAKEN:
        # It was withdrawn before. A server that links and unlinks may have been stopped in between.
        transport.remove([move.source])
        (left,) = transport.exists([move.source])
        if isinstance(left, Fault):
            return left
        return Fault(FOLDER_UNSTABLE, path=move.source) if left else Verdict.NOT_SENT
    if outcome.kind is not NOT_FOUND:
        return outcome
    (withdrawn,) = transport.exists([move.target])
    if isinstance(withdrawn, Fault):
        return withdrawn
    return Verdict.NOT_SENT if withdrawn else Verdict.PUBLISHED


def _give_way(export: ERPExport, predecessor: ERPExport) -> Fault | None:
    """The predecessor reached the ERP. An answer that waited as a conflict is applied as one that arrives now.

    Return None if the ERP refused it: then the order may be sent. Else this export ends as ALREADY_PUBLISHED.
    """
    predecessor.refresh_from_db(from_queryset=ERPExport.objects.select_for_update(of=("self",)))
    if predecessor.failed_as != FailedAs.UNKNOWN:
        return None
    waiting = waiting_answer(predecessor)
    if waiting and not waiting.given.ack.accepted:
        transitions.refuse([waiting.given])
        waiting.settle_files()
        return None
    fault = Fault(ALREADY_PUBLISHED, f"It is {predecessor.filename}.")
    transitions.fail_superseded(export, fault)
    if waiting:
        transitions.accept([waiting.given])
        waiting.settle_files()
    else:
        transitions.find_published([predecessor])
    # Approved anew means edited: the ERP holds the older version, and a person has to decide.
    if export.approved_at != predecessor.approved_at:
        transitions.return_edited(export)
    return fault
