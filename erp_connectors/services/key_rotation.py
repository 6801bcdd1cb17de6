"""Seal every connection's config with the current master key, row by row, beside a system that goes on working."""

from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec
from django.db import transaction
from django.db.models import QuerySet

from erp_connectors.crypto import MasterKey, Undecryptable, sealed_with
from erp_connectors.fields import Sealed, key_ring, reseal
from erp_connectors.models import ERPConnection
from orderflow.audit.models import Action
from orderflow.audit.services import Entry, record

PAGE = 100


class Unreadable(msgspec.Struct):
    """A row that no key of the ring opens."""

    connection_id: UUID
    why: str


class RotationReport(msgspec.Struct):
    """Counts of connections; ``by_key`` says how many each key, named by its id, has sealed after the rotation."""

    key: str
    resealed: int = 0
    unreadable: list[Unreadable] = msgspec.field(default_factory=list)
    by_key: dict[str, int] = msgspec.field(default_factory=dict)

    @property
    def finished(self) -> bool:
        return all(key == self.key for key in self.by_key)

    def lines(self) -> list[str]:
        lost = [
            f"{row.connection_id} can't be read: {row.why}. Put that key into ENCRYPTION_PREVIOUS_KEYS and run this "
            "again, or enter the connection's details anew in the admin."
            for row in self.unreadable
        ]
        return [f"{self.resealed} connections were sealed anew with key {self.key}.", *lost, self._verdict()]

    def _verdict(self) -> str:
        if self.finished:
            return (
                f"No row needs an older key: all {sum(self.by_key.values())} are sealed with key {self.key}. "
                "ENCRYPTION_PREVIOUS_KEYS may be emptied."
            )
        needed = ", ".join(
            f"{key} ({count})" for key, count in sorted(self.by_key.items()) if key != self.key
        )
        return f"Older keys are still needed, with the rows that need each: {needed}."


def rotate(*, done: Callable[[int], None] = lambda count: None) -> RotationReport:
    """Stopped at any moment, it goes on from there when it is run again; ``done`` is told how many rows it has seen."""
    ring = key_ring()
    report = RotationReport(key=ring[0].id)
    passed_over: set[UUID] = set()
    while page := list(_older(ring[0]).exclude(pk__in=passed_over)[:PAGE]):
        for connection_id, org_id, stored in page:
            try:
                report.resealed += _reseal(connection_id, org_id, stored, ring)
            except Undecryptable as error:
                passed_over.add(connection_id)
                report.unreadable.append(Unreadable(connection_id, str(error)))
            done(report.resealed + len(passed_over))
    report.by_key = keys_in_use()
    return report


def standing() -> RotationReport:
    """What a rotation would find now; changes nothing."""
    return RotationReport(key=key_ring()[0].id, by_key=keys_in_use())


def keys_in_use() -> dict[str, int]:
    """How many connections each key, named by its id, has sealed."""
    rows = _stored(ERPConnection.objects.order_by()).iterator()
    return dict(Counter(sealed_with(stored) for _, _, stored in rows))


def _older(key: MasterKey) -> "QuerySet[Any, tuple[UUID, UUID, Sealed]]":
    return _stored(ERPConnection.objects.exclude(config__startswith=Sealed(key.prefix)).order_by("pk"))


def _stored(rows: "QuerySet[ERPConnection]") -> "QuerySet[Any, tuple[UUID, UUID, Sealed]]":
    # What the field gives without its row is the stored form, whatever its type says.
    return rows.values_list("pk", "org_id", "config")  # type: ignore[return-value]


def _reseal(connection_id: UUID, org_id: UUID, stored: Sealed, ring: list[MasterKey]) -> int:
    """1, or 0 where somebody saved the connection meanwhile: the next page has it again if it still needs this."""
    fresh = reseal(stored, ring=ring, org_id=org_id, connection_id=connection_id)
    with transaction.atomic():
        # Nothing about the connection changes, so neither does updated_at: a delivery under way goes on.
        written = ERPConnection.objects.filter(pk=connection_id, config=stored).update(config=fresh)
        if written:
            before, after = {"key": sealed_with(stored)}, {"key": ring[0].id}
            record(
                Entry(
                    action=Action.KEYS_ROTATED,
                    org_id=org_id,
                    entity_type="ERPConnection",
                    entity_id=connection_id,
                    before=before,
                    after=after,
                )
            )
    return written
