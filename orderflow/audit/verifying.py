"""Reads the chains from their beginning and says where the first one is broken. Changes nothing."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from django.db.models import Count, Max, Min

from orderflow.audit.chain import COLUMNS, beginning, link, name_of
from orderflow.audit.models import AuditLog, AuditSeal
from orderflow.audit.sealing import LATEST_COMMIT, Chosen, unsealed
from orderflow.paging import by_key
from orderflow.tenancy.models import Org

_ENTRY = tuple(f"entry__{name}" for name in COLUMNS)
_MADE_AT = COLUMNS.index("created_at")


class Bad(msgspec.Struct, frozen=True, kw_only=True):
    seq: int | None = None
    entry_id: str = ""
    what: str


class ChainReport(msgspec.Struct, kw_only=True):
    """``anchor`` of the last seal that holds; ``bad`` the first that does not."""

    org: str
    slug: str = ""
    sealed: int = 0
    anchor: str = ""
    unsealed: int = 0
    unsealed_since: datetime | None = None
    bad: Bad | None = None

    def lines(self) -> list[str]:
        name = f"{self.slug} ({self.org})" if self.slug else "without org (-)"
        tail = (
            f", {self.unsealed} not sealed yet since {self.unsealed_since:%Y-%m-%d %H:%M} UTC"
            if self.unsealed
            else ""
        )
        lines = [
            f"{name}: {self.sealed} sealed entries {'hold' if self.bad is None else 'hold, then it BREAKS'}{tail}"
        ]
        if self.anchor:
            lines.append(f"  anchor {self.anchor}")
        if self.bad:
            place = f"no. {self.bad.seq}, " if self.bad.seq else ""
            lines.append(f"  FIRST BAD: {place}entry {self.bad.entry_id or 'unknown'}: {self.bad.what}")
        return lines


class Anchor(msgspec.Struct, frozen=True):
    org: str
    seq: int
    hash: str


def chains() -> list[Chosen]:
    """Every org, also one without entries: what it had may have been removed."""
    return [Chosen(None), *(Chosen(pk) for pk in Org.objects.order_by("slug").values_list("pk", flat=True))]


def recently_sealed(seals: int = 1000) -> list[Chosen]:
    """The chains of the newest seals."""
    newest = AuditSeal.objects.order_by("-pk").values_list("org", flat=True)[:seals]
    return [Chosen(org_id) for org_id in dict.fromkeys(newest)]


def verify(chain: Chosen, anchors: Sequence[Anchor] = (), *, last: int | None = None) -> ChainReport:
    """``last``: only so many of the newest seals, which are taken to be right up to there."""
    report = ChainReport(org=name_of(chain.org_id))
    if chain.org_id:
        report.slug = Org.objects.values_list("slug", flat=True).get(pk=chain.org_id)
    wanted = {anchor.seq: anchor.hash for anchor in anchors if anchor.org == report.org}
    seals = AuditSeal.objects.filter(chain.rows)
    # Up to here: what is sealed meanwhile is the next one's.
    top = seals.aggregate(Max("seq"))["seq__max"] or 0
    report.bad = _walk(chain, top, report, wanted, first=max(top - last, 0) if last else 0)
    if report.bad is None and (beyond := [seq for seq in wanted if seq > top]):
        report.bad = Bad(
            seq=top + 1, what=f"the chain ends at {top}, and an anchor says that it had {max(beyond)}."
        )
    if last is None:
        _look_at_tail(chain, top, report)
    return report


def _walk(
    chain: Chosen, top: int, report: ChainReport, anchors: Mapping[int, str], *, first: int
) -> Bad | None:
    before = _hash_at(chain, first) if first else beginning(chain.org_id)
    expected, newest = first + 1, None
    for seq, hashed, entry in _links(chain, first, top):
        if seq != expected:
            return _gap(chain, expected)
        made_at: datetime = entry[_MADE_AT]
        right = link(before, seq, entry)
        if hashed != right:
            what = "it is not what was sealed: it, its place or its seal was changed."
            return Bad(seq=seq, entry_id=str(entry[0]), what=what)
        if seq in anchors and anchors[seq] != hashed:
            what = "the seal is not the one of the anchor: the chain was made anew, here or before."
            return Bad(seq=seq, entry_id=str(entry[0]), what=what)
        if newest and made_at < newest - LATEST_COMMIT:
            return Bad(seq=seq, entry_id=str(entry[0]), what=_LATE.format(made_at, newest))
        newest = max(newest or made_at, made_at)
        before, expected = hashed, seq + 1
        report.sealed, report.anchor = seq, f"{report.org}:{seq}:{hashed}"
    return _gap(chain, expected) if expected <= top else None


_LATE = (
    "it says {:%Y-%m-%d %H:%M} UTC, and came in behind an entry of {:%Y-%m-%d %H:%M} UTC: it was put in later, or a "
    "clock was wrong."
)


def _links(chain: Chosen, first: int, top: int) -> Iterator[tuple[int, str, tuple[Any, ...]]]:
    rows = AuditSeal.objects.filter(chain.rows, seq__gt=first, seq__lte=top)
    links = rows.values_list("seq", "hash", *_ENTRY)
    for seq, hashed, *entry in by_key(links, "seq", key_of=lambda row: row[:1], size=2000):
        yield seq, hashed, tuple(entry)


def _hash_at(chain: Chosen, seq: int) -> str:
    return AuditSeal.objects.filter(chain.rows, seq=seq).values_list("hash", flat=True).first() or ""


def _gap(chain: Chosen, seq: int) -> Bad:
    entry_id = AuditSeal.objects.filter(chain.rows, seq=seq).values_list("entry_id", flat=True).first()
    if entry_id:
        return Bad(seq=seq, entry_id=str(entry_id), what="it was sealed, and is not there any more.")
    return Bad(seq=seq, what="its seal is not there any more.")


def _look_at_tail(chain: Chosen, top: int, report: ChainReport) -> None:
    tail = unsealed(chain).order_by().aggregate(count=Count("pk"), since=Min("created_at"))
    report.unsealed, report.unsealed_since = tail["count"], tail["since"]
    if report.bad or not top or not report.unsealed:
        return
    newest = AuditLog.objects.filter(chain.rows, seal__isnull=False).aggregate(Max("created_at"))
    limit = newest["created_at__max"] - LATEST_COMMIT
    late = unsealed(chain).filter(created_at__lt=limit).order_by("created_at").first()
    if late:
        what = _LATE.format(late.created_at, newest["created_at__max"])
        report.bad = Bad(entry_id=str(late.pk), what=what)


def org_named(text: str) -> UUID | None:
    """By id or slug; ``-`` is that of what belongs to no org. Raises `Org.DoesNotExist`."""
    if text == "-":
        return None
    try:
        return Org.objects.get(pk=UUID(text)).pk
    except ValueError:
        return Org.objects.get(slug=text).pk
