"""Seal every connection's config, and every webhook's secret, with the current master key, row by row, beside a system
that goes on working."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any
from uuid import UUID

import msgspec
from django.db import transaction
from django.db.models import QuerySet

from erp_connectors.crypto import MasterKey, Undecryptable, sealed_with
from erp_connectors.fields import Sealed, key_ring, reseal
from erp_connectors.models import ERPConnection
from erp_connectors.notify.models import Subscription
from orderflow.audit.models import Action
from orderflow.audit.services import Entry, record

PAGE = 100


@dataclass(frozen=True, slots=True)
class Sealing:
    """Where something is sealed for its row's ``org_id`` and ``id``.

    ``kind`` is what people call such a row, ``remedy`` what they do where its key is lost.
    """

    kind: str
    remedy: str
    model: type[ERPConnection] | type[Subscription]
    column: str


SEALED = (
    Sealing("Connection", "enter its details anew", ERPConnection, "config"),
    Sealing("Webhook", "replace its secret", Subscription, "secrets"),
)


class Unreadable(msgspec.Struct):
    """A row that no key of the ring opens."""

    kind: str
    row_id: UUID
    why: str
    remedy: str


class RotationReport(msgspec.Struct):
    """Counts of rows: connections and webhooks; ``by_key`` says how many each key, named by its id, has sealed
    after the rotation."""

    key: str
    resealed: int = 0
    unreadable: list[Unreadable] = msgspec.field(default_factory=list)
    by_key: dict[str, int] = msgspec.field(default_factory=dict)

    @property
    def finished(self) -> bool:
        return all(key == self.key for key in self.by_key)

    def lines(self) -> list[str]:
        lost = [
            f"{row.kind} {row.row_id} can't be read: {row.why}. Put that key into ENCRYPTION_PREVIOUS_KEYS and run "
            f"this again, or {row.remedy} in the admin."
            for row in self.unreadable
        ]
        return [f"{self.resealed} rows were sealed anew with key {self.key}.", *lost, self._verdict()]

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
    for place in SEALED:
        while page := list(_older(place, ring[0]).exclude(pk__in=passed_over)[:PAGE]):
            for row_id, org_id, stored in page:
                try:
                    report.resealed += _reseal(place, row_id, org_id, stored, ring)
                except Undecryptable as error:
                    passed_over.add(row_id)
                    report.unreadable.append(Unreadable(place.kind, row_id, str(error), place.remedy))
                done(report.resealed + len(passed_over))
    report.by_key = keys_in_use()
    return report


def standing() -> RotationReport:
    """What a rotation would find now; changes nothing."""
    return RotationReport(key=key_ring()[0].id, by_key=keys_in_use())


def keys_in_use() -> dict[str, int]:
    """How many rows each key, named by its id, has sealed."""
    rows = chain.from_iterable(_stored(place).order_by().iterator() for place in SEALED)
    return dict(Counter(sealed_with(stored) for _, _, stored in rows))


def _older(place: Sealing, key: MasterKey) -> "QuerySet[Any, tuple[UUID, UUID, Sealed]]":
    return _stored(place).exclude(**{f"{place.column}__startswith": Sealed(key.prefix)}).order_by("pk")


def _stored(place: Sealing) -> "QuerySet[Any, tuple[UUID, UUID, Sealed]]":
    # What the field gives without its row is the stored form, whatever its type says.
    return place.model.objects.values_list("pk", "org_id", place.column)


def _reseal(place: Sealing, row_id: UUID, org_id: UUID, stored: Sealed, ring: list[MasterKey]) -> int:
    """1, or 0 where somebody saved the row meanwhile: the next page has it again if it still needs this."""
    fresh = reseal(stored, ring=ring, org_id=org_id, connection_id=row_id)
    with transaction.atomic():
        # Nothing about the row changes, so neither does updated_at: a delivery under way goes on.
        untouched = place.model.objects.filter(**{"pk": row_id, place.column: stored})
        written = untouched.update(**{place.column: fresh})
        if written:
            before, after = {"key": sealed_with(stored)}, {"key": ring[0].id}
            record(
                Entry(
                    action=Action.KEYS_ROTATED,
                    org_id=org_id,
                    entity_type=place.model.__name__,
                    entity_id=row_id,
                    before=before,
                    after=after,
                )
            )
    return written
