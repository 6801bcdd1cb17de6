"""The result of `reconcile`, for users and programs."""

from collections import Counter
from enum import StrEnum
from uuid import UUID

import msgspec

LISTED = 1000


class FindingKind(StrEnum):
    LOST = "lost"
    ALTERED = "altered"
    ORPHANED = "orphaned"
    UNEXPLAINED = "unexplained"
    UNMOVED = "unmoved"
    MISNAMED = "misnamed"
    NO_COPY = "no copy"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One file that is not as the database says; ``what`` and ``to_do`` are for the operator."""

    kind: FindingKind
    path: str
    what: str
    to_do: str
    export_id: UUID | None = None


class Reconciliation(msgspec.Struct):
    """One connection compared; at most ``LISTED`` findings are listed, all are counted."""

    connection_id: UUID
    org: str
    files: int = 0
    answers: int = 0
    copies: int = 0
    elsewhere: int = 0
    found: Counter[FindingKind] = msgspec.field(default_factory=Counter)
    findings: list[Finding] = msgspec.field(default_factory=list)
    errors: list[str] = msgspec.field(default_factory=list)

    def add(self, finding: Finding) -> None:
        self.found[finding.kind] += 1
        if len(self.findings) < LISTED:
            self.findings.append(finding)

    @property
    def exit_code(self) -> int:
        """0: all is as recorded. 1: something is not. 2: not everything could be compared."""
        return 2 if self.errors else int(bool(self.found))

    def lines(self) -> list[str]:
        counts = ", ".join(f"{number} {kind}" for kind, number in sorted(self.found.items()))
        files, answers = _counted(self.files, "file"), _counted(self.answers, "answer")
        compared = (
            f"{files}, {answers} and {_counted(self.copies, 'archived copy', 'archived copies')} compared"
        )
        lines = [f"{self.connection_id} ({self.org}): {compared}: {counts or 'all as recorded'}"]
        lines += [f"  {one.kind}: {_safe(one.path)}: {one.what} {one.to_do}" for one in self.findings]
        if unlisted := sum(self.found.values()) - len(self.findings):
            lines.append(f"  and {unlisted} more")
        if self.elsewhere:
            orders = _counted(self.elsewhere, "unanswered order was", "unanswered orders were")
            lines.append(f"  {orders} sent to another place; not looked for there")
        return lines + [f"  error: {problem}" for problem in self.errors]


def _counted(number: int, one: str, several: str = "") -> str:
    return f"{number} {one if number == 1 else several or f'{one}s'}"


def _safe(path: str) -> str:
    """A server's file names go to terminals and logs."""
    return path if path.isprintable() else ascii(path)
