"""The result of `recover_restored`, for users and programs."""

from collections import Counter
from collections.abc import Collection
from enum import StrEnum
from uuid import UUID

import msgspec


class RecoveryFindingKind(StrEnum):
    SENT = "sent"  # its file lies in the dropzone
    ANSWERED = "answered"  # a handled answer was put back to be read again
    UNKNOWN = "unknown"  # it may have been sent
    NO_ORDER = "no order"  # a file of an order that the restored database does not have


class RecoveryFinding(msgspec.Struct, frozen=True, kw_only=True):
    kind: RecoveryFindingKind
    path: str
    what: str
    to_do: str = ""


class Recovery(msgspec.Struct):
    """The result for one connection. ``errors``: what could not be checked; then nothing may be sent yet."""

    connection_id: UUID
    org: str
    dry_run: bool
    found: list[RecoveryFinding] = msgspec.field(default_factory=list)
    errors: list[str] = msgspec.field(default_factory=list)

    def add(self, found: RecoveryFinding) -> None:
        self.found.append(found)

    def keep_unknown(self, paths: Collection[str]) -> None:
        """Remove the unknown exports that the dropzone or an answer has resolved meanwhile."""
        self.found = [
            one for one in self.found if one.kind != RecoveryFindingKind.UNKNOWN or one.path in paths
        ]

    @property
    def counts(self) -> "Counter[RecoveryFindingKind]":
        return Counter(one.kind for one in self.found)

    def lines(self) -> list[str]:
        counts = ", ".join(f"{number} {kind}" for kind, number in sorted(self.counts.items()))
        would = "would record" if self.dry_run else "recorded"
        head = f"{self.connection_id} ({self.org}): {would}: {counts or 'nothing; all is as the backup says'}"
        found = [f"  {one.kind}: {_safe(one.path)}: {one.what} {one.to_do}".rstrip() for one in self.found]
        return [head, *found, *(f"  could not look: {problem}" for problem in self.errors)]


def _safe(path: str) -> str:
    return path if path.isprintable() else repr(path)
