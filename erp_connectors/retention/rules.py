"""The rules of docs/retention.md as query conditions: which contents may be removed, and why others stay."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db.models import Case, Count, Exists, OuterRef, Q, QuerySet, Value, When

from erp_connectors.bulk.models import BulkRow
from erp_connectors.models import AckFile, ERPExport
from erp_connectors.retention.periods import ContentKind
from erp_connectors.services.acks.apply import DISMISSED, MANUAL_ANSWER
from erp_connectors.states import UNRESOLVED_ACKS, ExportStatus, FailedAs
from orderflow.orders.states import DraftStatus

DONE = (DraftStatus.PUSHED, DraftStatus.REJECTED)
# Events of a delivery, of an answer, and of a user's decision, which no later answer overrules.
PROVING = ("published", "resolved", "acked", "refused", "conflict", "restored", MANUAL_ANSWER, DISMISSED)


class Why(StrEnum):
    """Why a content stays, as `prune` prints it. The first reason that applies counts."""

    UNFINISHED = "the order is not done, or waits for an answer"
    UNKNOWN = "nobody knows whether the ERP has it"
    CONTRADICTED = "a contradiction is not seen to"
    UNSEEN = "an ack file waits, or for a person"
    BULK = "a bulk run is at work on the order"
    UNARCHIVED = "it waits for the archive"
    PRESENT = "the file lies in the ack folder"
    YOUNG = "not old enough"


Rules = dict[Why, Q]
BORN: Mapping[ContentKind, str] = {
    ContentKind.FILES: "created_at",
    ContentKind.EVENTS: "created_at",
    ContentKind.ANSWERS: "first_seen_at",
}


def remaining(kind: ContentKind, org_id: UUID) -> QuerySet[Any]:
    """Match the rows of an org that still have the content."""
    if kind is ContentKind.ANSWERS:
        return AckFile.objects.for_org(org_id).filter(body__isnull=False)
    exports = ERPExport.objects.for_org(org_id)
    if kind is ContentKind.EVENTS:
        return exports.filter(events_removed_at=None)
    return exports.filter(payload_removed_at=None).exclude(sha256="", attempts=0)


def born_before(kind: ContentKind, org_id: UUID, before: datetime) -> QuerySet[Any]:
    """Match rows that may be old enough, by index and without the rules."""
    return remaining(kind, org_id).filter(**{f"{BORN[kind]}__lt": before})


def going(kind: ContentKind, org_id: UUID, before: datetime) -> QuerySet[Any]:
    """Match rows that no rule keeps. Use it on a page of rows, not on a whole table."""
    rows = born_before(kind, org_id, before)
    for rule in _rules(kind, before).values():
        rows = rows.filter(~rule)
    return rows


def kept_by_reason(kind: ContentKind, org_id: UUID, before: datetime) -> Mapping[str, int]:
    """Return the number of rows by reason; removable rows have an empty reason."""
    why = Case(
        *(When(rule, then=Value(str(reason))) for reason, rule in _rules(kind, before).items()),
        default=Value(""),
    )
    rows = remaining(kind, org_id).order_by().annotate(why=why)
    return dict(rows.values_list("why").annotate(Count("pk")))


def _rules(kind: ContentKind, before: datetime) -> Rules:
    if kind is ContentKind.ANSWERS:
        return _of_answers(before)
    rules = _of_orders("", before)
    if kind is ContentKind.FILES:
        # The age of a copy counts from when it was stored: a worker may still be using a recent one.
        young = rules.pop(Why.YOUNG) | Q(archived_at__isnull=False, archived_at__gte=before)
        rules |= {Why.UNARCHIVED: Q(payload__isnull=False), Why.YOUNG: young}
    return rules


def _of_orders(to_export: str, before: datetime) -> Rules:
    """``to_export``: the way from the row to its export, where it is none."""
    draft = f"{to_export}draft_order"
    siblings = ERPExport.objects.filter(draft_order=OuterRef(draft)).order_by()
    acks = AckFile.objects.filter(export__draft_order=OuterRef(draft)).order_by()
    unresolved = Q(dismissed_at=None, status__in=UNRESOLVED_ACKS)
    bulk = BulkRow.objects.filter(draft_order=OuterRef(draft), run__finished_at=None).order_by()
    waiting = Exists(siblings.filter(status__in=(ExportStatus.PENDING, ExportStatus.SENT)))
    return {
        Why.UNFINISHED: ~Q(**{f"{draft}__status__in": DONE}) | Q(waiting),
        Why.UNKNOWN: Q(Exists(siblings.filter(failed_as=FailedAs.UNKNOWN))),
        Why.CONTRADICTED: Q(Exists(siblings.filter(conflict_json__isnull=False))),
        Why.UNSEEN: Q(Exists(acks.filter(Q(decided_at=None) | unresolved))),
        Why.BULK: Q(Exists(bulk)),
        Why.YOUNG: Q(**{f"{draft}__updated_at__gte": before})
        | Q(Exists(siblings.filter(updated_at__gte=before))),
    }


def _of_answers(before: datetime) -> Rules:
    of_orders = {why: Q(export__isnull=False) & rule for why, rule in _of_orders("export__", before).items()}
    young = of_orders.pop(Why.YOUNG)
    of_orders[Why.UNSEEN] |= Q(decided_at=None) | Q(dismissed_at=None, status__in=UNRESOLVED_ACKS)
    return of_orders | {
        Why.PRESENT: Q(moved_at=None),
        Why.YOUNG: young | Q(decided_at__gte=before) | Q(moved_at__gte=before) | Q(dismissed_at__gte=before),
    }
