"""The result of the last connection test, as the connection's row stores it and pages show it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Self

import msgspec
from django.utils.translation import gettext

from erp_connectors.faults import FAULT_KINDS, FaultKind
from erp_connectors.models import ERPConnection
from erp_connectors.port_types import ProbeStep
from orderflow.messages import Message, as_message


class ReportedStep(msgspec.Struct, frozen=True, kw_only=True):
    """``code`` is empty where the step went well."""

    name: str
    label: str
    duration_ms: int
    found: dict[str, Any] | None = None
    code: str = ""
    path: str = ""
    detail: str = ""

    @classmethod
    def of(cls, step: ProbeStep) -> Self:
        fault = step.fault
        return cls(
            name=step.name,
            label=step.label,
            duration_ms=step.duration_ms,
            found=as_message(step.found).as_json() if step.found else None,
            code=fault.code if fault else "",
            path=fault.path if fault else "",
            detail=fault.detail if fault else "",
        )

    @property
    def result(self) -> Message | None:
        """Return what a step that went well found."""
        return Message.from_json(self.found) if self.found else None

    @property
    def cause(self) -> str:
        """As `Fault.message`, in the language that is active."""
        where = f"({self.path})" if self.path else ""
        meaning = gettext(self.kind.meaning) if self.kind else self.code
        return " ".join(part for part in (meaning, where, self.detail) if part)

    @property
    def ok(self) -> bool:
        return not self.code

    @property
    def kind(self) -> FaultKind | None:
        return FAULT_KINDS.get(self.code)


class ProbeReport(msgspec.Struct, frozen=True, kw_only=True):
    at: datetime
    by: str
    steps: tuple[ReportedStep, ...]
    abilities: dict[str, bool]

    @classmethod
    def of(cls, steps: Iterable[ProbeStep], *, at: datetime, by: str) -> Self:
        steps = list(steps)
        able = {ability.name: ability.there for step in steps for ability in step.abilities}
        return cls(at=at, by=by, steps=tuple(map(ReportedStep.of, steps)), abilities=able)

    @property
    def failed(self) -> ReportedStep | None:
        return next((step for step in self.steps if not step.ok), None)

    def as_row(self) -> dict[str, Any]:
        row: dict[str, Any] = msgspec.to_builtins(self)
        return row


def is_outdated(report: ProbeReport | None, connection: ERPConnection) -> bool:
    """Return True if the connection was changed after the test, so the result says nothing about it."""
    return report is not None and report.at < connection.updated_at


def last_report(connection: ERPConnection) -> ProbeReport | None:
    row = connection.test_report
    return msgspec.convert(row, ProbeReport) if row else None
