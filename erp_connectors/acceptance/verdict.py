"""Check the promises of a day against the ERP's receipts, the database and the folders."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

import msgspec

from erp_connectors.acceptance.fault_injection import FaultPlan
from erp_connectors.acceptance.scenario import ScenarioDay
from erp_connectors.common_fields import Dropzone
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.registry import connector_for, open_transport
from erp_connectors.services.reconciliation.reconcile import reconcile
from erp_connectors.simulated_erp import Receipt
from erp_connectors.states import ExportStatus, FailedAs
from erp_connectors.transports.base import Transport
from orderflow.orders.states import DraftStatus

PROMISES = (
    "every order reached the ERP exactly once",
    "every file was whole and unaltered when the ERP took it",
    "every order ended as the ERP had answered",
    "no order and no answer was left lying",
    "database, archive and dropzone agree",
)


class DayRun(NamedTuple):
    """A day as it went."""

    day: ScenarioDay
    orders: Sequence[UUID]
    receipts: Sequence[Receipt]
    fault_plan: FaultPlan
    finished: bool
    seconds: float


class DayResult(msgspec.Struct, frozen=True, kw_only=True):
    """``broken``: by promise, what was not kept; ``attempts``: the most that one file took."""

    day: str
    orders: int
    accepted: int
    refused: int
    attempts: int
    broken_links: int
    disk_full: int
    seconds: float
    broken: dict[str, list[str]]

    @property
    def passed(self) -> bool:
        return not self.broken


def evaluate_day(day_run: DayRun, connection: ERPConnection, dropzone: Dropzone) -> DayResult:
    orders, receipts = day_run.orders, day_run.receipts
    exports = list(ERPExport.objects.filter(draft_order__in=orders).select_related("draft_order"))
    late = [] if day_run.finished else ["The time was up before every order had its answer."]
    kept = [
        list(_not_once(orders, receipts)),
        list(_not_whole(exports, receipts)),
        [*late, *_not_as_answered(exports)],
        list(_left_lying(connection, dropzone, exports)),
        list(_differences(connection)),
    ]
    return DayResult(
        day=day_run.day.name,
        orders=len(orders),
        accepted=sum(export.status == ExportStatus.ACKED for export in exports),
        refused=sum(export.failed_as == FailedAs.REFUSED for export in exports),
        attempts=max((export.attempts for export in exports), default=0),
        broken_links=day_run.fault_plan.breaks,
        disk_full=day_run.fault_plan.refusals,
        seconds=round(day_run.seconds, 1),
        broken={promise: found for promise, found in zip(PROMISES, kept, strict=True) if found},
    )


def _not_once(orders: Sequence[UUID], receipts: Sequence[Receipt]) -> Iterator[str]:
    times = Counter(receipt.order for receipt in receipts)
    for order in map(str, orders):
        if times[order] != 1:
            yield f"Order {order} reached the ERP {times[order]} times."
    for stranger in times.keys() - {str(order) for order in orders}:
        yield f"The ERP took {stranger}, which is none of this day's orders."


def _not_whole(exports: Sequence[ERPExport], receipts: Sequence[Receipt]) -> Iterator[str]:
    sent = {export.filename: export.sha256 for export in exports}
    for receipt in receipts:
        if sent.get(receipt.file) != receipt.sha256:
            yield f"{receipt.file} was not what OrderFlow had written when the ERP took it."


def _not_as_answered(exports: Sequence[ERPExport]) -> Iterator[str]:
    for export in exports:
        draft = export.draft_order
        if export.status == ExportStatus.ACKED and (draft.status, draft.erp_order_id) != (
            "PUSHED",
            export.erp_order_id,
        ):
            yield f"Order {draft} was accepted as {export.erp_order_id}, and is {draft.status} {draft.erp_order_id}."
        if export.failed_as == FailedAs.REFUSED and draft.status != DraftStatus.ERROR:
            yield f"Order {draft} was refused, and is {draft.status}."
        if export.conflict_json:
            yield f"Order {draft} has answers that contradict each other."


def _left_lying(connection: ERPConnection, dropzone: Dropzone, exports: Sequence[ERPExport]) -> Iterator[str]:
    """Yield a sentence for each order that the ERP has not taken, and for each unread answer."""
    connector = connector_for(connection.connector_type)
    ours = {export.filename for export in exports}
    with open_transport(dropzone) as transport:
        for name in _files(transport, dropzone.export_path):
            if name in ours:
                yield f"{name} lies in {dropzone.export_path}."
        for name in _files(transport, dropzone.ack_path) if dropzone.ack_path else ():
            found = connector.acknowledges(name, dropzone.format_options)
            if found and found.export_filename in ours:
                yield f"{name} lies in {dropzone.ack_path}."


def _files(transport: Transport, folder: str) -> list[str]:
    return sorted(entry.name for entry in transport.list(folder) if entry.is_file)


def _differences(connection: ERPConnection) -> Iterator[str]:
    report = reconcile(connection.pk)
    yield from report.errors
    yield from (f"{one.kind}: {one.path}: {one.what}" for one in report.findings)
