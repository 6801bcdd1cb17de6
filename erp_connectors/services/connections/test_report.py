"""The result of the last connection test, as the connection's row stores it and pages show it."""

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Any, Self

import msgspec

from erp_connectors.faults import FAULT_KINDS, FaultKind
from erp_connectors.models import ERPConnection
from erp_connectors.port_types import ProbeStep
from erp_connectors.registry import transport_for, transport_modes
from orderflow.messages import Message

CONFIG_STEP = ("config", "Configuration")
OPEN_STEP = ("open", "Transport")
EXPORT_STEP = ("export_path", "Orders can be written")
CAPABILITIES_STEP = ("server_capabilities", "What the server can do")
ACK_STEP = ("ack_path", "Answers can be read and filed")
OUR_STEPS = (CONFIG_STEP, OPEN_STEP, EXPORT_STEP, CAPABILITIES_STEP, ACK_STEP)


class ReportedStep(msgspec.Struct, frozen=True, kw_only=True):
    """``found`` and ``fault`` are messages, as JSON; a step has one of them at most."""

    name: str
    duration_ms: int
    found: dict[str, Any] | None = None
    fault: dict[str, Any] | None = None

    @classmethod
    def of(cls, step: ProbeStep) -> Self:
        return cls(
            name=step.name,
            duration_ms=step.duration_ms,
            found=step.found.as_json() if step.found else None,
            fault=step.fault.as_message().as_json() if step.fault else None,
        )

    @property
    def label(self) -> str:
        """Return the English label, which is the key of its translations."""
        return step_labels().get(self.name, self.name)

    @property
    def result(self) -> Message | None:
        """Return what a step that went well found."""
        return Message.from_json(self.found) if self.found else None

    @property
    def cause(self) -> Message | None:
        """Return what stopped a step that failed."""
        return Message.from_json(self.fault) if self.fault else None

    @property
    def code(self) -> str:
        return self.cause.code if self.cause else ""

    @property
    def ok(self) -> bool:
        return self.fault is None

    @property
    def kind(self) -> FaultKind | None:
        return FAULT_KINDS.get(self.code)


class ProbeReport(msgspec.Struct, frozen=True, kw_only=True):
    at: datetime
    by: str
    steps: tuple[ReportedStep, ...]
    server_capabilities: dict[str, bool]

    @classmethod
    def of(cls, steps: Iterable[ProbeStep], *, at: datetime, by: str) -> Self:
        steps = list(steps)
        able = {one.name: one.there for step in steps for one in step.server_capabilities}
        return cls(at=at, by=by, steps=tuple(map(ReportedStep.of, steps)), server_capabilities=able)

    @property
    def failed(self) -> ReportedStep | None:
        return next((step for step in self.steps if not step.ok), None)

    def as_row(self) -> dict[str, Any]:
        row: dict[str, Any] = msgspec.to_builtins(self)
        return row


@cache
def step_labels() -> dict[str, str]:
    """Return the labels of all steps by name."""
    opening = [step for mode in transport_modes() for step in transport_for(mode).opening]
    return dict([*opening, *OUR_STEPS])


def last_report(connection: ERPConnection) -> ProbeReport | None:
    """Return the result of the last test with the present settings; a change of them removes it."""
    row = connection.test_report
    return msgspec.convert(row, ProbeReport) if row else None
