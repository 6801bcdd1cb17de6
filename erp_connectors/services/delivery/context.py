"""Values that the steps of one delivery share."""

from collections.abc import Sequence
from dataclasses import dataclass

from erp_connectors.common_fields import Dropzone
from erp_connectors.connectors.base import Connector
from erp_connectors.faults import Fault
from erp_connectors.leases import Lease
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.states import Stage
from erp_connectors.transports.base import Transport


@dataclass(frozen=True, slots=True)
class Delivery:
    """The delivery of one connection: its lease, and an open transport to its dropzone."""

    lease: Lease
    connection: ERPConnection
    connector: Connector[object]
    dropzone: Dropzone
    transport: Transport


@dataclass(frozen=True, slots=True)
class Rendered:
    """An export and the bytes of its file."""

    export: ERPExport
    data: bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """An export that was not sent. ``elsewhere``: the fault is of another connection than the delivered one."""

    export: ERPExport
    fault: Fault
    stage: str
    elsewhere: bool = False


def split_outcomes(
    exports: Sequence[ERPExport], outcomes: Sequence[Fault | None], stage: Stage
) -> tuple[list[ERPExport], list[Failure]]:
    """Return the exports without a fault, and the failures."""
    pairs = list(zip(exports, outcomes, strict=True))
    done = [export for export, fault in pairs if fault is None]
    failures = [Failure(export, fault, stage) for export, fault in pairs if fault is not None]
    return done, failures
