"""Outcome unknown: find out if an export that FAILED after STAGED was published, before its order is sent again.

Its temporary file is withdrawn: moved to a name that no worker publishes. Either that move or the rename succeeds,
never both, and each leaves a proof. So every later check has the same result.
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
from erp_connectors.services.connections.credential_rollover import open_link
from erp_connectors.services.delivery import done_markers
from erp_connectors.services.delivery.context import Delivery, Failure
from erp_connectors.services.exports import transitions
from erp_connectors.services.exports.paths import destination, destination_moved, staying_at, withdrawn_path
from erp_connectors.states import FailedAs, Stage
from erp_connectors.transports.base import Transport
from orderflow.messages import Message
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus


class Publication(StrEnum):
    PUBLISHED = "published"
    NOT_SENT = "not sent"


def resolve_failed(delivery: Delivery, exports: Sequence[ERPExport]) -> None:
    """Find out at once if exports that have just FAILED were published, if the session still works."""
    unknown = [export for export in exports if export.failed_as == FailedAs.UNKNOWN]
    if not unknown:
        return
    transport, dropzone = delivery.transport, delivery.dropzone
    here = destination(transport, dropzone)
    found = list(zip(unknown, _withdraw(transport, dropzone, unknown), strict=True))
    published = [export for export, publication in found if publication is Publication.PUBLISHED]
    not_sent = [export for export, publication in found if publication is Publication.NOT_SENT]
    with staying_at(transport, dropzone, here):
        published, _ = done_markers.write_for(delivery, published)
    with transaction.atomic():
        leases.renew(delivery.lease)
        transitions.resolve_as_published(_lock_those_in_error(published))
        transitions.resolve_as_not_sent(not_sent)
    transport.remove([withdrawn_path(export) for export in not_sent])


def _lock_those_in_error(exports: Sequence[ERPExport]) -> list[ERPExport]:
    """Return the exports whose order still is in ERROR, and lock them and these orders.

    An order that a user has pushed again or is editing has to keep its outcome unknown: it is resolved before the new
    export is sent. The exports are locked first, as when an answer is applied: else both could wait for each other.
    """
    rows = ERPExport.objects.filter(pk__in=[export.pk for export in exports])
    list(rows.select_for_update(of=("self",)).order_by("pk").values_list("pk"))
    orders = DraftOrder.objects.filter(pk__in=[export.draft_order_id for export in exports])
    in_error = orders.filter(status=DraftStatus.ERROR).select_for_update(of=("self",)).order_by("pk")
    found = set(in_error.values_list("pk", flat=True))
    return [export for export in exports if export.draft_order_id in found]


def resolve_predecessors(
    delivery: Delivery, exports: Sequence[ERPExport]
) -> tuple[list[ERPExport], list[Failure]]:
    """Resolve the unknown outcomes of earlier exports of these orders. Return those that may be sent, and failures."""
    unknown = ERPExport.objects.filter(
        draft_order__in=[export.draft_order_id for export in exports], failed_as=FailedAs.UNKNOWN
    ).select_related("connection")
    earlier = {export.draft_order_id: export for export in unknown.order_by("created_at")}
    free, failures = [], []
    for export in exports:
        predecessor = earlier.get(export.draft_order_id)
        fault = _resolve(delivery, export, predecessor) if predecessor else None
        if fault is None:
            free.append(export)
        elif fault.kind is not ALREADY_PUBLISHED:
            elsewhere = predecessor is not None and predecessor.connection_id != export.connection_id
            failures.append(Failure(export, fault, Stage.RESOLVE, elsewhere))
    return free, failures


def _resolve(delivery: Delivery, export: ERPExport, predecessor: ERPExport) -> Fault | None:
    """Return None if the order may be sent. ALREADY_PUBLISHED: it must not be, and both rows are updated."""
    if (predecessor.conflict_json or {}).get("answer") is not None:
        publication: Publication | Fault = Publication.PUBLISHED
    elif predecessor.connection_id == delivery.connection.pk:
        publication = _withdraw_one(delivery.transport, delivery.dropzone, predecessor)
    else:
        publication = _withdraw_elsewhere(predecessor)
    crashpoint("resolved-before-commit")
    if isinstance(publication, Fault):
        return publication
    with transaction.atomic():
        leases.renew(delivery.lease)
        if publication is Publication.PUBLISHED:
            return _supersede(export, predecessor)
        transitions.resolve_as_not_sent([predecessor])
    if predecessor.staged_destination == destination(delivery.transport, delivery.dropzone):
        delivery.transport.remove([withdrawn_path(predecessor)])
    return None


def _withdraw_elsewhere(export: ERPExport) -> Publication | Fault:
    """Withdraw over the connection of the export."""
    try:
        dropzone = dropzone_of(export.connection)
        with open_link(export.connection_id, dropzone) as transport:
            transport.open()
            return _withdraw_one(transport, dropzone, export)
    except Fault as fault:
        return fault


def _withdraw_one(transport: Transport, dropzone: Dropzone, export: ERPExport) -> Publication | Fault:
    (publication,) = _withdraw(transport, dropzone, [export])
    if publication is not Publication.PUBLISHED:
        return publication
    with staying_at(transport, dropzone, export.staged_destination):
        (unmarked,) = done_markers.write(transport, dropzone, [export])
    return unmarked or publication


def _withdraw(
    transport: Transport, dropzone: Dropzone, exports: Sequence[ERPExport]
) -> list[Publication | Fault]:
    """Withdraw the temporary files, only in the folder where they were staged."""
    here = destination(transport, dropzone)
    mine = [export for export in exports if export.staged_destination == here]
    moves = [
        Move(export.staged_path, withdrawn_path(export))
        for export in mine
        if is_temporary(export.staged_path)
    ]
    with staying_at(transport, dropzone, here):
        # `publish` is the atomic rename; `move` may link and unlink, and a crash in between would leave both names.
        outcomes = transport.publish(moves)
        found = {
            move.source: _publication(transport, move, outcome)
            for move, outcome in zip(moves, outcomes, strict=True)
        }
    # A file that was written under its final name has no receipt: `atomic_write: false` promises at least once.
    return [
        found.get(export.staged_path, Publication.NOT_SENT)
        if export.staged_destination == here
        else destination_moved(export)
        for export in exports
    ]


def _publication(transport: Transport, move: Move, outcome: Fault | None) -> Publication | Fault:
    """Return what the outcome of withdrawing a file proves, or the `Fault` that keeps it from proving anything."""
    if outcome is None:
        return Publication.NOT_SENT
    if outcome.kind is NAME_TAKEN:
        # It was withdrawn before. A server that links and unlinks may have been stopped in between.
        transport.remove([move.source])
        (left,) = transport.exists([move.source])
        if isinstance(left, Fault):
            return left
        return Fault(FOLDER_UNSTABLE, path=move.source) if left else Publication.NOT_SENT
    if outcome.kind is not NOT_FOUND:
        return outcome
    (withdrawn,) = transport.exists([move.target])
    if isinstance(withdrawn, Fault):
        return withdrawn
    return Publication.NOT_SENT if withdrawn else Publication.PUBLISHED


def _supersede(export: ERPExport, predecessor: ERPExport) -> Fault | None:
    """Record that the predecessor reached the ERP. Apply an answer that waited as a conflict as one that arrives now.

    Return None if the ERP refused it: then the order may be sent. Else this export ends as ALREADY_PUBLISHED.
    """
    predecessor.refresh_from_db(from_queryset=ERPExport.objects.select_for_update(of=("self",)))
    if predecessor.failed_as != FailedAs.UNKNOWN:
        return None
    waiting = waiting_answer(predecessor)
    if waiting and not waiting.answer.ack.accepted:
        transitions.refuse([waiting.answer])
        waiting.record_files()
        return None
    fault = Fault(ALREADY_PUBLISHED, Message("delivery.earlier_file", name=predecessor.filename))
    transitions.fail_superseded(export, fault)
    if waiting:
        transitions.accept([waiting.answer])
        waiting.record_files()
    else:
        transitions.resolve_as_published([predecessor])
    # An order that was approved again was edited. The ERP holds the older version, so a user has to decide.
    if export.approved_at != predecessor.approved_at:
        transitions.return_edited(export)
    return fault
