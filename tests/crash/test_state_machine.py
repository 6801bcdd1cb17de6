"""Pushes, deliveries, crashes, frozen workers, pick-ups, answers and retries in any order, against a model."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from uuid import UUID

import pytest
from django.core.files.storage import storages
from django.utils import timezone
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from erp_connectors import registry
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push, retry_push
from erp_connectors.states import ExportStatus, FailedAs
from orderflow.audit.models import Action, AuditLog
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from tests import factories
from tests.crash.actors import Actor, stage
from tests.crash.shaky import ShakyTransport
from tests.hypothesis_profiles import examples

DELIVERY_POINTS = (
    "claimed", "archived-before-commit", "rendered-committed", "resolved-before-commit", "staged-before-commit",
    "staged-committed", "published-before-commit", "sent-committed",
)  # fmt: skip
POLL_POINTS = ("acks-read", "acks-decided", "acks-moved-before-reasons", "acks-moved-before-commit")
ENDS = st.sampled_from(("runs", "dies_at", "freezes_at"))
ORDERS, FROZEN = 5, 3

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning"),
]


class Deliveries(RuleBasedStateMachine):
    root: Path

    def __init__(self) -> None:
        super().__init__()
        folder = Path(mkdtemp(dir=self.root))
        self.inbox, self.acks = folder / "in", folder / "ack"
        self.inbox.mkdir()
        self.acks.mkdir()
        self.org = factories.org()
        self.buyer = factories.customer(self.org)
        config = {"mode": "filesystem", "export_path": str(self.inbox), "ack_path": str(self.acks)}
        self.connection = factories.connection(self.org, config)
        self.drafts: list[UUID] = []
        self.frozen: list[Actor] = []
        self.published: dict[str, bytes] = {}
        self.taken: set[str] = set()
        self.accepted: set[str] = set()
        self.refused: set[str] = set()
        self.answers: Counter[bytes] = Counter()
        ShakyTransport.lost = {}

    @precondition(lambda self: len(self.drafts) < ORDERS)
    @rule(orders=st.integers(1, 2))
    def orders_are_pushed(self, orders: int) -> None:
        for _ in range(orders):
            draft = factories.draft(self.org, customer=self.buyer, lines=1)
            push(draft.pk, actor=None)
            self.drafts.append(draft.pk)

    @rule(ends=ENDS, point=st.sampled_from(DELIVERY_POINTS))
    def a_worker_delivers(self, ends: str, point: str) -> None:
        self._act(deliver, ends, point)

    @rule(ends=ENDS, point=st.sampled_from(POLL_POINTS))
    def a_worker_polls(self, ends: str, point: str) -> None:
        self._act(poll, ends, point)

    @precondition(lambda self: self.frozen)
    @rule(data=st.data())
    def a_frozen_worker_wakes_up(self, data: st.DataObject) -> None:
        actor = data.draw(st.sampled_from(self.frozen))
        self.frozen.remove(actor)
        actor.thaw()

    @rule(call=st.sampled_from(("stage", "publish")), when=st.sampled_from(("before", "after")))
    def the_link_dies(self, call: str, when: str) -> None:
        ShakyTransport.lost = {call: when}

    @precondition(lambda self: bool(ShakyTransport.lost))
    @rule()
    def the_link_is_back(self) -> None:
        ShakyTransport.lost = {}

    @precondition(lambda self: self.published.keys() - self.taken)
    @rule()
    def the_erp_picks_up(self) -> None:
        for path in self.inbox.glob("*.json"):
            path.unlink()
            self.taken.add(path.name)

    @precondition(lambda self: self.published)
    @rule(data=st.data(), accepts=st.booleans())
    def the_erp_answers(self, data: st.DataObject, accepts: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.published)))
        yes, no = {"status": "ACKED", "erp_order_id": name[12:20]}, {"status": "FAILED", "error_code": "NO"}
        path = self.acks / f"{'ack' if accepts else 'error'}_{name}"
        if not path.exists():
            path.write_text(json.dumps(yes if accepts else no))
            self.answers[path.read_bytes()] += 1
            (self.accepted if accepts else self.refused).add(name)

    @rule(data=st.data())
    def a_person_retries(self, data: st.DataObject) -> None:
        failed = DraftOrder.objects.filter(pk__in=self.drafts, status=DraftStatus.ERROR)
        pks = sorted(failed.values_list("pk", flat=True))
        if pks:
            retry_push(data.draw(st.sampled_from(pks)), actor=None)

    @invariant()
    def nothing_is_published_twice_or_in_part(self) -> None:
        for path in self.inbox.glob("*.json"):
            assert path.name not in self.taken, "published again after the ERP had taken it"
            body = path.read_bytes()
            assert self.published.setdefault(path.name, body) == body
        for name, body in self.published.items():
            export = ERPExport.objects.get(filename=name)
            assert storages["exports"].open(export.export_storage_key).read() == body
            earlier = ERPExport.objects.filter(
                draft_order=export.draft_order, created_at__lt=export.created_at
            )
            names = set(earlier.values_list("filename", flat=True))
            assert names & self.published.keys() <= self.refused, "the ERP has the order twice"

    @invariant()
    def rows_say_what_happened(self) -> None:
        for export in self._exports():
            if (
                export.status in (ExportStatus.SENT, ExportStatus.ACKED)
                or export.failed_as == FailedAs.REFUSED
            ):
                assert export.filename in self.published
            if export.failed_as == FailedAs.NOT_SENT:
                assert export.filename not in self.published
        audited = AuditLog.objects.filter(org=self.org, action=Action.DRAFT_PUSHED)
        assert max(Counter(row.after["erp_export_id"] for row in audited).values(), default=0) <= 1

    def teardown(self) -> None:
        """All wake up, the link is back, and time passes: then every order has come to an end."""
        ShakyTransport.lost = {}
        try:
            for actor in self.frozen:
                actor.thaw()
            for _ in range(4):
                self._act(deliver, "runs", "")
                self._act(poll, "runs", "")
            self.nothing_is_published_twice_or_in_part()
            self.rows_say_what_happened()
            self._require_settled()
        finally:
            ERPExport.objects.filter(status=ExportStatus.PENDING, org=self.org).update(next_attempt_at=None)

    def _require_settled(self) -> None:
        assert {export.status for export in self._exports()} <= {
            ExportStatus.SENT, ExportStatus.ACKED, ExportStatus.FAILED
        }  # fmt: skip
        for draft in DraftOrder.objects.filter(pk__in=self.drafts):
            last = draft.exports.order_by("created_at").last()
            names = set(draft.exports.values_list("filename", flat=True)) & self.published.keys()
            if draft.status == DraftStatus.PUSHED:
                assert names - self.refused or names & self.accepted
            else:
                assert (draft.status, last.status) == (DraftStatus.ERROR, ExportStatus.FAILED)
        bodies = [path.read_bytes() for path in self.acks.rglob("*") if path.is_file()]
        assert Counter(bodies) == self.answers, "an answer is lost"
        assert not any(path.is_file() for path in self.acks.iterdir())

    def _act(self, work: Callable[[UUID], object], ends: str, point: str) -> None:
        if ends == "freezes_at" and len(self.frozen) == FROZEN:
            ends = "runs"
        self._time_passes()
        actor = Actor(lambda: work(self.connection.pk), **({} if ends == "runs" else {ends: point}))
        if actor.frozen:
            self.frozen.append(actor)

    def _time_passes(self) -> None:
        past = timezone.now() - timedelta(hours=1)
        row = ERPConnection.objects.filter(pk=self.connection.pk)
        for purpose in ("delivery_lease", "poll_lease"):
            row.exclude(**{f"{purpose}_token": ""}).update(**{f"{purpose}_until": past})
        row.exclude(retry_at=None).update(retry_at=past)
        ERPExport.objects.filter(org=self.org).exclude(next_attempt_at=None).update(next_attempt_at=past)

    def _exports(self) -> list[ERPExport]:
        return list(ERPExport.objects.filter(org=self.org))


def test_whatever_happens_in_whatever_order_every_order_arrives_once(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    settings.DELIVERY_MAX_ATTEMPTS = 2
    monkeypatch.setitem(registry.TRANSPORTS, "filesystem", "tests.crash.shaky.ShakyTransport")
    Deliveries.root = tmp_path
    with stage():
        run_state_machine_as_test(Deliveries, settings=LIMITS)


LIMITS = settings(max_examples=examples(0.1), stateful_step_count=30)
