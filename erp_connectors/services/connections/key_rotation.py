"""Seal every connection's config, every webhook's secret and every second factor's with the current master key, row by
row, beside a system that goes on working."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from django.db import transaction
from django.db.models import Q, QuerySet

from erp_connectors.models import ERPConnection
from erp_connectors.outbox.models import Channel, Subscription
from orderflow.audit.models import Action
from orderflow.audit.services import Entry, record
from orderflow.paging import by_key
from orderflow.second_factor.models import SecondFactor
from orderflow.secrets.crypto import MasterKey, Undecryptable, seal, sealed_with
from orderflow.secrets.fields import Sealed, place_in, reseal
from orderflow.secrets.key_ring import key_ring

PAGE = 100


@dataclass(frozen=True, slots=True)
class Sealing:
    """A column with values that are sealed for the row's ``owner`` and primary key.

    ``kind`` is the name of such a row for users, ``remedy`` what to do if its key is lost, ``org`` whose row it is.
    Rows that are ``empty`` hold no secret, so that no key is needed to seal them anew.
    """

    kind: str
    remedy: str
    model: type[ERPConnection] | type[Subscription] | type[SecondFactor]
    column: str
    owner: str = "org_id"
    org: str = "org_id"
    empty: Q | None = None


SEALED = (
    Sealing(ERPConnection.KIND, "enter its details anew", ERPConnection, "config"),
    Sealing(Subscription.KIND, "replace its secret", Subscription, "secrets", empty=Q(channel=Channel.EMAIL)),
    Sealing(
        "Second factor",
        "reset it on the person's page",
        SecondFactor,
        "secret",
        owner="user_id",
        org="user__org_id",
    ),
)


class Row(NamedTuple):
    id: UUID
    owner_id: UUID
    org_id: UUID | None
    stored: Sealed


class Unreadable(msgspec.Struct):
    """A row that no key of the ring opens."""

    kind: str
    row_id: UUID
    why: str
    remedy: str


class RotationReport(msgspec.Struct):
    """Counts of rows: connections, webhooks and second factors; ``by_key`` says how many each key, named by its id, has
    sealed after the rotation."""

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
    """Seal all values with the first key. After an interruption, run it again: it continues.

    ``done`` gets the number of rows processed so far.
    """
    ring = key_ring()
    report = RotationReport(key=ring[0].id)
    passed_over: set[UUID] = set()
    for place in SEALED:
        while page := list(_older(place, ring[0]).exclude(pk__in=passed_over)[:PAGE]):
            for row in (Row(*values) for values in page):
                try:
                    report.resealed += _reseal(place, row, ring)
                except Undecryptable as error:
                    passed_over.add(row.id)
                    report.unreadable.append(Unreadable(place.kind, row.id, str(error), place.remedy))
                done(report.resealed + len(passed_over))
    report.by_key = keys_in_use()
    return report


def rotation_status() -> RotationReport:
    """Return what a rotation would find now. Change nothing."""
    return RotationReport(key=key_ring()[0].id, by_key=keys_in_use())


def keys_in_use() -> dict[str, int]:
    """Return the number of rows that each key has sealed, by key id."""
    rows = chain.from_iterable(by_key(_stored(place), key_of=lambda row: row[:1]) for place in SEALED)
    return dict(Counter(sealed_with(Row(*values).stored) for values in rows))


def _older(place: Sealing, key: MasterKey) -> "QuerySet[Any, tuple[Any, ...]]":
    return _stored(place).exclude(**{f"{place.column}__startswith": Sealed(key.prefix)}).order_by("pk")


def _stored(place: Sealing) -> "QuerySet[Any, tuple[Any, ...]]":
    """Each as a `Row`."""
    # What the field gives without its row is the stored form, whatever its type says.
    return place.model._default_manager.values_list("pk", place.owner, place.org, place.column)


def _fresh(place: Sealing, row: Row, ring: list[MasterKey]) -> Sealed:
    stored_in = place_in(place.model, place.column, row.id)
    try:
        return reseal(row.stored, ring=ring, org_id=row.owner_id, place=stored_in)
    except Undecryptable:
        if place.empty is None or not place.model._default_manager.filter(place.empty, pk=row.id).exists():
            raise
        return Sealed(seal(b"{}", key=ring[0], org_id=row.owner_id, place=stored_in))


def _reseal(place: Sealing, row: Row, ring: list[MasterKey]) -> int:
    """Return 1, or 0 if the row was changed meanwhile: a later page has it again if it still needs the rotation."""
    fresh = _fresh(place, row, ring)
    with transaction.atomic():
        # Nothing about the row changes, so neither does updated_at: a delivery under way goes on.
        untouched = place.model._default_manager.filter(**{"pk": row.id, place.column: row.stored})
        written = untouched.update(**{place.column: fresh})
        if written:
            before, after = {"key": sealed_with(row.stored)}, {"key": ring[0].id}
            record(
                Entry(
                    action=Action.KEYS_ROTATED,
                    org_id=row.org_id,
                    entity_type=place.model.__name__,
                    entity_id=row.id,
                    before=before,
                    after=after,
                )
            )
    return written
