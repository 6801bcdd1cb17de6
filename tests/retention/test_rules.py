"""Retention takes what its page allows, and nothing else: every state of an order and its exports, old and young."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import product
from uuid import UUID, uuid4

import pytest
from django.utils import timezone

from erp_connectors.bulk.models import BulkAction, BulkRow, BulkRun
from erp_connectors.models import LIVE_STATUSES, AckFile, ERPExport, ERPExportEvent
from erp_connectors.retention.periods import ContentKind
from erp_connectors.retention.rules import Why, kept_by_reason
from erp_connectors.states import ExportStatus, FailedAs
from orderflow.orders.models import DraftOrder, DraftOrderLine, ImportedOrder
from orderflow.orders.states import DraftStatus
from tests import factories
from tests.retention.conftest import DAYS, prune
from tests.services.acks.test_poll import ACKED

pytestmark = pytest.mark.django_db

STANDINGS = {
    "pending": (ExportStatus.PENDING, FailedAs.NOT_FAILED),
    "sent": (ExportStatus.SENT, FailedAs.NOT_FAILED),
    "acked": (ExportStatus.ACKED, FailedAs.NOT_FAILED),
    "refused": (ExportStatus.FAILED, FailedAs.REFUSED),
    "not sent": (ExportStatus.FAILED, FailedAs.NOT_SENT),
    "unknown": (ExportStatus.FAILED, FailedAs.UNKNOWN),
}
OLD, YOUNG = DAYS + 1, DAYS - 1
# Status, handled by a person, still in the folder; the last are files that belong to no export.
ACKS = [
    ("APPLIED", False, False), ("APPLIED", False, True), ("REPEATED", False, False),
    ("CONFLICT", False, False), ("CONFLICT", True, False), ("WAITING", False, True),
]  # fmt: skip
STRAYS = [
    ("UNMATCHED", False),
    ("UNMATCHED", True),
    ("MALFORMED", False),
    ("MALFORMED", True),
    ("WAITING", False),
]


@dataclass(frozen=True)
class Case:
    """An order; ``standing`` of the export that is looked at, ``sibling`` of another one of the order."""

    order: DraftStatus = DraftStatus.PUSHED
    standing: str = "acked"
    sibling: str = ""
    age: int = OLD
    sibling_age: int = OLD
    order_age: int = OLD
    conflict: str = ""
    ack: tuple[str, bool, bool] | None = ("APPLIED", False, False)
    ack_age: int = OLD
    bulk: str = ""
    waits: bool = False
    archived: int = OLD

    def kept(self) -> bool:
        """By the numbered rules of docs/retention.md, all but the age; said anew, not asked of the code."""
        standings = {self.standing, self.sibling}
        return bool(
            self.order not in (DraftStatus.PUSHED, DraftStatus.REJECTED)
            or standings & {"pending", "sent", "unknown"}
            or self.conflict
            or (self.ack and (self.ack[0] == "WAITING" or self.ack[:2] == ("CONFLICT", False)))
            or self.bulk == "unfinished"
        )

    def goes(self) -> set[ContentKind]:
        if self.kept() or YOUNG in (self.age, self.order_age, self.sibling_age if self.sibling else OLD):
            return set()
        found = {ContentKind.EVENTS}
        if not self.waits and self.archived == OLD:
            found.add(ContentKind.FILES)
        if self.ack and not self.ack[2] and self.ack_age == OLD:
            found.add(ContentKind.ANSWERS)
        return found


def cases() -> Iterator[Case]:
    ages = (OLD, YOUNG)
    for order, standing, sibling, age in product(DraftStatus, STANDINGS, ("", *STANDINGS), ages):
        live = [STANDINGS[one][0] in LIVE_STATUSES for one in (standing, sibling) if one]
        if sum(live) < 2:
            yield Case(DraftStatus(order), standing, sibling, age)
    for standing, order in (
        ("acked", DraftStatus.PUSHED),
        ("refused", DraftStatus.REJECTED),
        ("refused", DraftStatus.ERROR),
    ):
        base = Case(order, standing)
        for ack, ack_age in product((None, *ACKS), ages):
            yield replace(base, ack=ack, ack_age=ack_age)
        for bulk, conflict, waits in product(
            ("", "finished", "unfinished"), ("", "own", "sibling"), (False, True)
        ):
            yield replace(base, bulk=bulk, conflict=conflict, waits=waits, sibling="not sent")
        for sibling_age, order_age, archived in product(ages, ages, ages):
            yield replace(
                base, sibling="not sent", sibling_age=sibling_age, order_age=order_age, archived=archived
            )


class World:
    """Every case as rows, made in bulk."""

    def __init__(self) -> None:
        self.org = factories.org()
        self.connection = factories.connection(self.org, {"mode": "filesystem", "export_path": "/x"})
        self.now = timezone.now()
        self.user = factories.user(self.org)
        self.orders: list[DraftOrder] = []
        self.exports: list[ERPExport] = []
        self.acks: list[AckFile] = []
        self.rows: list[BulkRow] = []
        self.runs = {
            name: BulkRun.objects.create(
                org=self.org, made_by=self.user, action=BulkAction.PUSH, finished_at=at
            )
            for name, at in (("finished", self.now), ("unfinished", None))
        }
        self.looked_at: dict[UUID, Case] = {}
        self.answers: dict[UUID, Case] = {}

    def at(self, days: int) -> datetime:
        return self.now - timedelta(days=days)

    def add(self, case: Case) -> None:
        order = DraftOrder(org=self.org, status=case.order, updated_at=self.at(case.order_age))
        self.orders.append(order)
        export = self._export(order, case.standing, case.age, case)
        self.looked_at[export.pk] = case
        if case.sibling:
            theirs = replace(case, conflict="own" if case.conflict == "sibling" else "")
            self._export(order, case.sibling, case.sibling_age, theirs)
        if case.bulk:
            self.rows.append(BulkRow(run=self.runs[case.bulk], position=len(self.rows), draft_order=order))
        if case.ack:
            status, handled, present = case.ack
            self._ack(export, status, handled=handled, present=present, days=case.ack_age)
            self.answers[export.pk] = case

    def _export(self, order: DraftOrder, standing: str, days: int, case: Case) -> ERPExport:
        status, failed_as = STANDINGS[standing]
        export = ERPExport(
            org=self.org, connection=self.connection, draft_order=order, status=status, failed_as=failed_as,
            filename=f"sales_order_{uuid4().hex}.json", export_storage_key=f"exports/{uuid4()}", sha256="f" * 64,
            size=1, attempts=1, approved_at=self.at(days), created_at=self.at(days), updated_at=self.at(days),
            conflict_json={"answer": "refused"} if case.conflict == "own" else None,
            payload=b"x" if case.waits else None,
            archived_at=None if case.waits else self.at(case.archived),
        )  # fmt: skip
        self.exports.append(export)
        return export

    def _ack(
        self, export: ERPExport | None, status: str, *, handled: bool, present: bool, days: int = OLD
    ) -> AckFile:
        at = self.at(days)
        name = f"ack_{export.filename if export else uuid4()}"
        row = AckFile(
            org=self.org, connection=self.connection, export=export, name=name, status=status, body=ACKED,
            size=len(ACKED), first_seen_at=at, decided_at=None if status == "WAITING" else at,
            moved_at=None if present else at, dismissed_at=at if handled else None,
        )  # fmt: skip
        self.acks.append(row)
        return row

    def save(self) -> None:
        touched = {order.pk: order.updated_at for order in self.orders}
        DraftOrder.objects.bulk_create(self.orders, batch_size=200)
        for days in (OLD, YOUNG):
            mine = [pk for pk, at in touched.items() if at == self.at(days)]
            for start in range(0, len(mine), 500):
                DraftOrder.objects.filter(pk__in=mine[start : start + 500]).update(updated_at=self.at(days))
        was = {export.pk: export.updated_at for export in self.exports}
        ERPExport.objects.bulk_create(self.exports, batch_size=200)
        for days in (OLD, YOUNG):
            mine = [pk for pk, at in was.items() if at == self.at(days)]
            for start in range(0, len(mine), 500):
                ERPExport.objects.filter(pk__in=mine[start : start + 500]).update(updated_at=self.at(days))
        ERPExportEvent.objects.bulk_create(
            [
                ERPExportEvent(export=export, at=export.created_at, stage="publish", what=what)
                for export in self.exports
                for what in ("rendered", "published")
            ],
            batch_size=200,
        )
        AckFile.objects.bulk_create(self.acks, batch_size=200)
        BulkRow.objects.bulk_create(self.rows, batch_size=200)


@pytest.fixture
def world() -> World:
    made = World()
    for case in dict.fromkeys(cases()):
        made.add(case)
    return made


def what_rows_say() -> list[object]:
    """All that a push, a retry, an import or an answer looks at."""
    looked_at = (
        (DraftOrder, ("pk", "status", "erp_order_id", "approved_at", "updated_at")),
        (ERPExport, ("pk", "draft_order", "status", "failed_as", "filename", "sha256", "size", "conflict_json",
                     "idempotency_key", "staged_path", "created_at", "updated_at", "erp_order_id")),
        (AckFile, ("pk", "export", "name", "status", "size", "mtime", "decided_at", "moved_at", "dismissed_at")),
        (DraftOrderLine, ("pk",)), (ImportedOrder, ("pk",)),
    )  # fmt: skip
    return [list(model.objects.order_by("pk").values_list(*names)) for model, names in looked_at]


def test_it_takes_what_the_rules_allow_and_nothing_else(world):
    strays = {}
    for (status, handled), days in product(STRAYS, (OLD, YOUNG)):
        row = world._ack(None, status, handled=handled, present=status == "WAITING", days=days)
        strays[row.name] = handled and days == OLD
    world.save()
    before = what_rows_say()

    prune()

    assert what_rows_say() == before
    wrong = []
    texts = dict(AckFile.objects.filter(export__isnull=False).values_list("export", "body_removed_at"))
    for export in ERPExport.objects.filter(pk__in=world.looked_at).prefetch_related("events"):
        case = world.looked_at[export.pk]
        gone = {
            ContentKind.FILES: export.payload_removed_at and export.copy_gone_at,
            ContentKind.EVENTS: export.events_removed_at,
            ContentKind.ANSWERS: texts.get(export.pk),
        }
        if {kind for kind, at in gone.items() if at} != case.goes():
            wrong.append((case, gone))
        kept = ["published"] if ContentKind.EVENTS in case.goes() else ["rendered", "published"]
        assert [event.what for event in export.events.all()] == kept
        assert bool(export.payload) == case.waits
    assert wrong[:5] == []
    loose = dict(AckFile.objects.filter(export=None).values_list("name", "body_removed_at"))
    assert {name: at is not None for name, at in loose.items()} == strays
    assert len(world.looked_at) > 500
    assert {
        kind: sum(kind in case.goes() for case in world.looked_at.values()) > 5 for kind in ContentKind
    } == dict.fromkeys(ContentKind, True)


def test_what_is_told_is_what_goes(world):
    world.save()
    before = world.now - timedelta(days=DAYS)

    said = {kind: dict(kept_by_reason(kind, world.org.pk, before)) for kind in ContentKind}
    prune()

    assert said[ContentKind.FILES][""] == ERPExport.objects.exclude(payload_removed_at=None).count()
    assert said[ContentKind.EVENTS][""] == ERPExport.objects.exclude(events_removed_at=None).count()
    assert said[ContentKind.ANSWERS][""] == AckFile.objects.exclude(body_removed_at=None).count()
    assert set(said[ContentKind.FILES]) == {"", *Why} - {Why.PRESENT}
    assert sum(said[ContentKind.ANSWERS].values()) == len(world.acks)
