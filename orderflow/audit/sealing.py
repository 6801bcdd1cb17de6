"""Seals what was committed to the audit log, in batches, beside those who write it.

Nobody who writes an entry waits for a chain: seals follow a little later. Nor is there a lock: two who seal at once
meet at the unique place in the chain, and one of them walks away.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet

from orderflow.audit.chain import COLUMNS, beginning, link, name_of
from orderflow.audit.models import AuditLog, AuditSeal

BATCH = 2000
MOST_IN_A_RUN = 50_000
EVERY = timedelta(seconds=60)
# An entry may be committed so much later than it was made; who looks for what is unsealed looks back so far.
LATEST_COMMIT = timedelta(hours=1)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sealed:
    """``more``: the run ended before the entries did. ``busy``: another one seals."""

    entries: int
    more: bool = False
    busy: bool = False


def due(now: datetime) -> bool:
    """Something is unsealed, and nobody has sealed for a while."""
    newest = AuditSeal.objects.order_by("-pk").values_list("sealed_at", flat=True).first()
    return (newest is None or newest < now - EVERY) and _recent().exists()


def seal(*, most: int = MOST_IN_A_RUN, everything: bool = False) -> Sealed:
    """In the order in which the entries were made; ``everything``: also what seems older than what is sealed."""
    rows = unsealed() if everything else _recent()
    done, last = 0, None
    while done < most:
        size = min(BATCH, most - done)
        after = Q() if last is None else Q(created_at__gte=last)
        try:
            with transaction.atomic():
                batch = list(rows.filter(after).order_by("created_at", "id").values_list(*COLUMNS)[:size])
                heads = _seal(batch)
        except IntegrityError as error:
            log.info("audit.sealed_by_another", error=str(error))
            return Sealed(done, more=True, busy=True)
        _tell(heads)
        done += len(batch)
        if len(batch) < size:
            return Sealed(done)
        last = batch[-1][COLUMNS.index("created_at")]
    return Sealed(done, more=True)


@dataclass(frozen=True, slots=True)
class Chosen:
    """One chain; ``org_id`` None: that of what belongs to no org."""

    org_id: UUID | None

    @property
    def rows(self) -> Q:
        return Q(org=self.org_id)


def unsealed(chain: Chosen | None = None) -> QuerySet[AuditLog]:
    rows = AuditLog.objects.all() if chain is None else AuditLog.objects.filter(chain.rows)
    return rows.filter(~Exists(AuditSeal.objects.filter(entry=OuterRef("pk"))))


@dataclass(frozen=True, slots=True)
class Tail:
    entries: int
    oldest: datetime | None


def tail() -> Tail:
    """What waits to be sealed, found by index."""
    return Tail(**_recent().order_by().aggregate(entries=Count("pk"), oldest=Min("created_at")))


def _recent() -> QuerySet[AuditLog]:
    """Unsealed since the entry that was sealed last: all entries are sealed in one order, whichever org they are of."""
    newest = AuditSeal.objects.order_by("-pk").values_list("entry__created_at", flat=True).first()
    return unsealed() if newest is None else unsealed().filter(created_at__gte=newest - LATEST_COMMIT)


def _seal(batch: Sequence[tuple[Any, ...]]) -> list[AuditSeal]:
    """The new heads."""
    chains: dict[UUID | None, list[tuple[Any, ...]]] = defaultdict(list)
    for entry in batch:
        chains[entry[COLUMNS.index("org_id")]].append(entry)
    made, heads = [], []
    for org_id, entries in chains.items():
        top, before = _head(org_id)
        for seq, entry in enumerate(entries, start=top + 1):
            before = link(before, seq, entry)
            made.append(AuditSeal(org_id=org_id, seq=seq, entry_id=entry[0], hash=before))
        heads.append(made[-1])
    AuditSeal.objects.bulk_create(made, batch_size=BATCH)
    return heads


def _head(org_id: UUID | None) -> tuple[int, str]:
    """By index, however long the chain is."""
    seals = AuditSeal.objects.filter(Chosen(org_id).rows).order_by("-seq")
    return seals.values_list("seq", "hash").first() or (0, beginning(org_id))


def _tell(heads: Sequence[AuditSeal]) -> None:
    """Wherever logs are shipped to, these can't be changed from here: `verify_audit --anchor` takes them."""
    for head in heads:
        log.info("audit.sealed", anchor=f"{name_of(head.org_id)}:{head.seq}:{head.hash}")
