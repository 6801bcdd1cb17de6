"""Events, audit entries, counters, notifications and log lines follow from the status history of exports."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

import pytest
import structlog
from django.db import connection
from django.utils import timezone
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from erp_connectors import counters, crashpoints, registry
from erp_connectors.counters import Name
from erp_connectors.faults import CONNECTION_LOST, Fault
from erp_connectors.models import ERPConnection, ERPExport, ERPExportEvent
from erp_connectors.outbox.events import Event
from erp_connectors.outbox.models import PendingEvent
from erp_connectors.port_types import Move
from erp_connectors.services.acks.manual_answers import MarkRefused, mark_accepted, mark_refused
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push, push_many, retry_push
from erp_connectors.services.restore.recover import recover
from erp_connectors.states import ExportStatus, FailedAs
from erp_connectors.transports.base import Outcomes
from erp_connectors.transports.filesystem import FilesystemTransport
from orderflow.audit.models import Action, AuditLog
from orderflow.orders.approval import approve
from orderflow.orders.models import DraftOrder, DraftOrderLine
from orderflow.orders.review import mark_ready, take_back
from orderflow.orders.states import DraftStatus
from tests import databases, factories
from tests.hypothesis_profiles import examples
from tests.notifications.conftest import by_mail
from tests.services.conftest import Killed, die
from tests.services.exports import status_history
from tests.services.exports.status_history import Change
from tests.services.restore.test_recover import Backup

pytestmark = pytest.mark.django_db(transaction=True)

EVENTS = ("pushed", "published", "resolved", "failed", "restored", "acked", "refused")
ON_ORDERS = (
    Action.DRAFT_PUSH_REQUESTED,
    Action.DRAFT_PUSH_RETRIED,
    Action.DRAFT_PUSHED,
    Action.DRAFT_PUSH_FAILED,
)
ON_EXPORTS = (Action.EXPORT_ACKED, Action.EXPORT_REFUSED)
LINES = ("export.pushed", "export.sent", "export.not_sent", "export.failed", "export.acked", "export.refused")
NOTIFIED = (Event.EXPORT_FAILED, Event.EXPORT_REFUSED)
COUNTED = (Name.EXPORTS, Name.FAILURES, Name.DELIVERY, Name.ACK)
Effects = Counter[tuple[str, ...]]


class Left(NamedTuple):
    """What a move leaves behind. ``always``: users are notified even if it does not set the order to ERROR."""

    event: str
    line: str
    action: str = ""
    notified: str = ""
    always: bool = False
    failure: bool = False


_PUBLISHED = Left("published", "export.sent", Action.DRAFT_PUSHED)
_FAILED = Left("failed", "export.failed", Action.DRAFT_PUSH_FAILED, Event.EXPORT_FAILED, failure=True)
_ACCEPTED = Left("acked", "export.acked", Action.EXPORT_ACKED)
_REFUSED = Left(
    "refused", "export.refused", Action.EXPORT_REFUSED, Event.EXPORT_REFUSED, always=True, failure=True
)
MOVES = {
    ("", "PENDING"): Left("pushed", "export.pushed", Action.DRAFT_PUSH_REQUESTED),
    ("PENDING", "SENT"): _PUBLISHED,
    ("PENDING", "NOT_SENT"): _FAILED,
    ("PENDING", "UNKNOWN"): _FAILED,
    ("UNKNOWN", "SENT"): _PUBLISHED._replace(event="resolved"),
    ("UNKNOWN", "NOT_SENT"): Left("resolved", "export.not_sent"),
    ("SENT", "ACKED"): _ACCEPTED,
    ("NOT_SENT", "ACKED"): _ACCEPTED,
    ("UNKNOWN", "ACKED"): _ACCEPTED,
    ("REFUSED", "ACKED"): _ACCEPTED,
    ("SENT", "REFUSED"): _REFUSED,
    ("NOT_SENT", "REFUSED"): _REFUSED,
    ("UNKNOWN", "REFUSED"): _REFUSED,
}
_IN_DOUBT = _FAILED._replace(event="restored", always=True)
# By the recovery after a restore.
RESTORED = {
    ("", "UNKNOWN"): _IN_DOUBT,
    ("PENDING", "UNKNOWN"): _IN_DOUBT,
    ("PENDING", "NOT_SENT"): _IN_DOUBT._replace(notified=""),
    ("SENT", "REFUSED"): _REFUSED._replace(event="restored", notified=""),
}


class Link(FilesystemTransport):
    """A folder behind a link that is cut: ``plan`` says for each publishing when, before or after its work."""

    plan: ClassVar[list[str]] = []

    def _publish(self, moves: Sequence[Move]) -> Outcomes:
        cut = Link.plan.pop(0) if moves and Link.plan else ""
        outcomes = [] if cut == "before" else super()._publish(moves)
        return [Fault(CONNECTION_LOST)] * len(moves) if cut else outcomes


def expected(changes: Sequence[Change], *, by_user: bool) -> Effects:
    """Derive what a step must have left behind from what it did to statuses."""
    effects: Effects = Counter()
    moved_orders = {(one.draft_id, one.was, one.now) for one in changes if one.kind == status_history.ORDER}
    in_error = {draft for draft, _, now in moved_orders if now == DraftStatus.ERROR}
    published_now: set[UUID] = set()
    for one in changes:
        if one.kind == status_history.ORDER:
            continue
        retried = (one.draft_id, DraftStatus.ERROR, DraftStatus.PUSHING) in moved_orders
        for effect in _of(one, retried=retried, in_error=one.draft_id in in_error):
            effects[effect] += 1
        if one.now == ExportStatus.SENT:
            published_now.add(one.row_id)
        timed = one.was_sent and one.row_id not in published_now and not by_user
        if _is_answer(one) and timed:
            effects["counted", Name.ACK] += 1
    return effects


def _of(one: Change, *, retried: bool, in_error: bool) -> Iterator[tuple[str, ...]]:
    was, now = _state(one.was, one.was_as), _state(one.now, one.now_as)
    if was == now == "ACKED":
        # Another answer corrects the number, which is no move; the first number is written after the move.
        if one.was_number:
            yield "event", "acked", str(one.row_id)
            yield "audit", Action.EXPORT_ACKED, str(one.row_id)
        return
    left = (RESTORED if one.code == "RESTORED" else {}).get((was, now)) or MOVES.get((was, now))
    assert left, f"no such move: {one}"
    action = (
        Action.DRAFT_PUSH_RETRIED if retried and left.action == Action.DRAFT_PUSH_REQUESTED else left.action
    )
    if action:
        yield "audit", action, str(one.row_id if action in ON_EXPORTS else one.draft_id)
    if left.notified and (left.always or in_error):
        yield "notified", left.notified, str(one.row_id)
    if left.failure:
        yield "counted", Name.FAILURES, one.code
    if was == "PENDING" and now == "SENT":
        yield "counted", Name.DELIVERY
    if one.was != one.now:
        yield "counted", Name.EXPORTS, one.now
    yield "event", left.event, str(one.row_id)
    yield "log", left.line, str(one.row_id)


def _state(status: str, failed_as: str) -> str:
    return failed_as if status == ExportStatus.FAILED else status


def _is_answer(one: Change) -> bool:
    if one.now == ExportStatus.ACKED:
        return one.was != ExportStatus.ACKED
    return one.now_as == FailedAs.REFUSED and one.code != "RESTORED"


class Traces:
    """What exists of events, audit entries, counters, notifications and log lines."""

    def __init__(self) -> None:
        self.lines: list[MutableMapping[str, Any]] = []
        self._before = self._all()

    def new(self) -> Effects:
        """Return what appeared since the last call."""
        before, self._before = self._before, self._all()
        return self._before - before

    def _all(self) -> Effects:
        return Counter(self._each())

    def _each(self) -> Iterator[tuple[str, ...]]:
        for what, export in ERPExportEvent.objects.filter(what__in=EVENTS).values_list("what", "export"):
            yield "event", what, str(export)
        entries = AuditLog.objects.filter(action__in=(*ON_ORDERS, *ON_EXPORTS))
        for action, entity, before in entries.values_list("action", "entity_id", "before"):
            # A user's decision between two answers that changes no status is audited, too.
            if "conflict" not in (before or {}):
                yield "audit", action, entity
        for event, export in PendingEvent.objects.filter(event__in=NOTIFIED).values_list("event", "export"):
            yield "notified", event, str(export)
        for (name, label), (how_many, _) in counters.totals().items():
            if name in COUNTED:
                of = () if name in counters.BUCKETS else (label,)
                yield from [("counted", name, *of)] * how_many
        yield from (
            ("log", line["event"], line["export_id"]) for line in self.lines if line["event"] in LINES
        )


class World:
    """An org, its ERP and its users. Each step checks what it left behind; one that can't be taken does nothing."""

    def __init__(self, root: Path) -> None:
        folder = Path(mkdtemp(dir=root))
        self.inbox, self.acks = folder / "in", folder / "ack"
        self.inbox.mkdir()
        self.acks.mkdir()
        self.org = factories.org()
        self.ops = factories.user(self.org)
        self.buyer = factories.customer(self.org)
        config = {"mode": "filesystem", "export_path": str(self.inbox), "ack_path": str(self.acks)}
        self.connection = factories.connection(self.org, config)
        by_mail(self.connection, "ops@example.com")
        self.backup: Backup | None = None
        self.moves: set[tuple[str, str]] = set()
        self.traces = Traces()
        status_history.take()

    def step(self, name: str, number: int) -> None:
        Link.plan = []
        act: Callable[[int], None] = getattr(self, name)
        act(number)
        changes = status_history.take()
        wanted, found = expected(changes, by_user=name.startswith("user_")), self.traces.new()
        assert found == wanted, f"{name}: missing {wanted - found}, too much {found - wanted}, of {changes}"
        exports = [
            one for one in changes if one.kind == status_history.EXPORT and one.was != ExportStatus.ACKED
        ]
        self.moves |= {(_state(one.was, one.was_as), _state(one.now, one.now_as)) for one in exports}

    def push(self, number: int) -> None:
        drafts = [factories.draft(self.org, customer=self.buyer, lines=1) for _ in range(1 + number % 2)]
        if len(drafts) == 1:
            push(drafts[0].pk, actor=self.ops)
        else:
            push_many(factories.ids(drafts), actor=None)

    def push_unprintable(self, number: int) -> None:
        draft = factories.draft(self.org, customer=self.buyer, lines=1)
        DraftOrderLine.objects.filter(draft_order=draft).update(internal_sku="")
        push(draft.pk, actor=None)

    def deliver(self, number: int) -> None:
        past = timezone.now() - timedelta(hours=1)
        row = ERPConnection.objects.filter(pk=self.connection.pk)
        row.exclude(delivery_lease_token="").update(delivery_lease_until=past)
        row.exclude(retry_at=None).update(retry_at=past)
        ERPExport.objects.exclude(next_attempt_at=None).update(next_attempt_at=past)
        deliver(self.connection.pk)

    def deliver_while_the_link_dies(self, number: int) -> None:
        Link.plan = [("before", "after")[number % 2], "before"]
        self.deliver(number)

    def deliver_while_the_link_is_cut_once(self, number: int) -> None:
        Link.plan = [("before", "after")[number % 2]]
        self.deliver(number)

    def deliver_and_die(self, number: int) -> None:
        points = (
            "published-before-commit",
            "staged-committed",
            "resolved-before-commit",
            "rendered-committed",
        )
        with _at(points[number % len(points)], die), suppress(Killed):
            self.deliver(number)

    def deliver_while_the_erp_answers(self, number: int) -> None:
        def answer() -> None:
            self._answer(number, sorted(path.name for path in self.inbox.glob("*.json")))
            poll(self.connection.pk)

        Link.plan = ["after"] if number % 3 == 0 else []
        with _at("published-before-commit", answer):
            self.deliver(number)

    def erp_takes_files(self, number: int) -> None:
        for path in self.inbox.glob("*.json"):
            path.unlink()

    def erp_answers(self, number: int) -> None:
        exports = ERPExport.objects.exclude(staged_at=None, staged_destination="").order_by(
            "created_at", "pk"
        )
        self._answer(number, list(exports.values_list("filename", flat=True)))
        poll(self.connection.pk)

    def poll_twice(self, number: int) -> None:
        """What can't be read is given up at a second look."""
        poll(self.connection.pk)
        poll(self.connection.pk)

    def user_accepts(self, number: int) -> None:
        self._record(
            number, lambda pk: mark_accepted(pk, actor=self.ops, erp_order_id="SO-7", note="by phone")
        )

    def user_refuses(self, number: int) -> None:
        self._record(number, lambda pk: mark_refused(pk, actor=self.ops, note="by phone"))

    def retry(self, number: int) -> None:
        if pk := self._chosen(DraftOrder.objects.filter(status=DraftStatus.ERROR), number):
            DraftOrderLine.objects.filter(draft_order=pk, internal_sku="").update(internal_sku="INT-1")
            retry_push(pk, actor=self.ops)

    def edit_and_push_again(self, number: int) -> None:
        if pk := self._chosen(DraftOrder.objects.filter(status=DraftStatus.ERROR), number):
            DraftOrderLine.objects.filter(draft_order=pk, internal_sku="").update(internal_sku="INT-1")
            take_back(pk, actor=self.ops)
            mark_ready(pk, actor=self.ops)
            approve(pk, actor=self.ops)
            push(pk, actor=self.ops)

    def back_up(self, number: int) -> None:
        if DraftOrder.objects.exists():
            self.backup = Backup()

    def restore(self, number: int) -> None:
        if self.backup is None:
            return
        self.backup.restore()
        status_history.take()
        self.traces.new()
        recover(since=self.backup.taken, dry_run=False)

    def _answer(self, number: int, filenames: Sequence[str]) -> None:
        if not filenames:
            return
        which, kind = divmod(number, 4)
        filename = filenames[-1 - which % len(filenames)]
        prefix, body = (
            ("error", {"status": "FAILED", "error_code": "NO", "message": "Unknown customer"}),
            ("ack", {"status": "ACKED", "erp_order_id": "SO-1"}),
            ("ack", {"status": "ACKED", "erp_order_id": f"SO-{number}"}),
            ("ack", {"status": "OK"}),
        )[kind]
        (self.acks / f"{prefix}_{filename}").write_text(json.dumps(body))

    def _record(self, number: int, record: Callable[[UUID], object]) -> None:
        if pk := self._chosen(ERPExport.objects.all(), number):
            with suppress(MarkRefused):
                record(pk)

    def _chosen(self, rows: Any, number: int) -> UUID | None:
        pks = list(rows.order_by("created_at", "pk").values_list("pk", flat=True))
        return pks[-1 - number % len(pks)] if pks else None


STEPS = [name for name in vars(World) if not name.startswith("_") and name != "step"]


@contextmanager
def _at(point: str, act: Callable[[], None]) -> Iterator[None]:
    """Act once when a crash point is reached."""

    def listener(reached: str) -> None:
        if reached == point:
            crashpoints.listener = None
            act()

    crashpoints.listener = listener
    try:
        yield
    finally:
        crashpoints.listener = None


@pytest.fixture
def make_world(
    transactional_db: None, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], World]]:
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    settings.DELIVERY_MAX_ATTEMPTS = 1
    settings.ACK_UNFINISHED_SECONDS = 0
    monkeypatch.setitem(registry.TRANSPORTS, "filesystem", f"{Link.__module__}.{Link.__name__}")
    with ExitStack() as stack:
        stack.enter_context(status_history.recorded())
        lines = stack.enter_context(structlog.testing.capture_logs())

        def make() -> World:
            world = World(tmp_path)
            lines.clear()
            world.traces.lines = lines
            return world

        yield make


# A number chooses an order, an export or a file (0 is the newest), how the link dies (1: after its work), or the
# answer (0: refused, 1: accepted).
STORIES: dict[str, Sequence[tuple[str, int]]] = {
    "accepted": [("push", 0), ("deliver", 0), ("erp_answers", 1)],
    "refused, then accepted": [("push", 0), ("deliver", 0), ("erp_answers", 0), ("erp_answers", 1)],
    "not sent, refused by hand": [("push_unprintable", 0), ("deliver", 0), ("user_refuses", 0)],
    "not sent, accepted by hand": [("push_unprintable", 0), ("deliver", 0), ("user_accepts", 0)],
    "found published at once": [("push", 0), ("deliver_while_the_link_is_cut_once", 1)],
    "found not sent at once": [("push", 0), ("deliver_while_the_link_is_cut_once", 0), ("retry", 0), ("deliver", 0)],
    "unknown, accepted": [("push", 0), ("deliver_while_the_link_dies", 1), ("erp_answers", 1)],
    "unknown, refused": [("push", 0), ("deliver_while_the_link_dies", 1), ("erp_answers", 0)],
    "unknown, retried, found published": [
        ("push", 0), ("deliver_while_the_link_dies", 1), ("retry", 0), ("deliver", 0),
    ],
    "unknown, edited, found published": [
        ("push", 0), ("deliver_while_the_link_dies", 1), ("edit_and_push_again", 0), ("deliver", 0),
    ],
    "unknown, retried, found not sent": [
        ("push", 0), ("deliver_while_the_link_dies", 0), ("retry", 0), ("deliver", 0),
    ],
    "unknown, retried, accepted": [
        ("push", 0), ("deliver_while_the_link_dies", 1), ("retry", 0), ("erp_answers", 1), ("deliver", 0),
    ],
    "unknown, retried, refused": [
        ("push", 0), ("deliver_while_the_link_dies", 1), ("retry", 0), ("erp_answers", 0), ("deliver", 0),
    ],
    "worker killed, accepted": [("push", 0), ("deliver_and_die", 0), ("erp_answers", 1), ("deliver", 0)],
    "worker killed, refused": [("push", 0), ("deliver_and_die", 0), ("erp_answers", 0), ("deliver", 0)],
    "accepted before the failure is recorded": [("push", 0), ("deliver_while_the_erp_answers", 9)],
    "refused before SENT is recorded": [("push", 0), ("deliver_while_the_erp_answers", 4)],
    "restored, waited, taken": [("push", 0), ("back_up", 0), ("deliver", 0), ("erp_takes_files", 0), ("restore", 0)],
    "restored, waited, still there": [("push", 0), ("back_up", 0), ("deliver", 0), ("restore", 0)],
    "restored, failed": [
        ("push", 0), ("deliver_while_the_link_is_cut_once", 0), ("back_up", 0), ("retry", 0), ("deliver", 0),
        ("erp_takes_files", 0), ("restore", 0),
    ],
    "restored, waited, a newer file is archived": [
        ("push_unprintable", 0), ("back_up", 0), ("deliver", 0), ("retry", 0), ("deliver", 0), ("erp_takes_files", 0),
        ("restore", 0),
    ],
    "restored, sent, a newer file is archived": [
        ("push", 0), ("deliver", 0), ("back_up", 0), ("user_refuses", 0), ("retry", 0), ("deliver", 0),
        ("erp_takes_files", 0), ("restore", 0),
    ],
}  # fmt: skip


def test_each_move_leaves_all_of_its_traces(make_world: Callable[[], World]) -> None:
    wrong, moves = {}, set()
    for story, steps in STORIES.items():
        world = make_world()
        try:
            for name, number in steps:
                world.step(name, number)
        except AssertionError as error:
            wrong[story] = str(error)
        finally:
            databases.empty(connection)
        moves |= world.moves

    assert not wrong, "\n".join(f"{story}: {why}" for story, why in wrong.items())
    assert moves == {*MOVES, *RESTORED}


# Shrinking a history of a second each takes minutes; the message names the step and its moves.
@settings(max_examples=examples(0.2), phases=[Phase.generate])
@given(steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 15)), min_size=10, max_size=40))
def test_what_is_left_behind_follows_from_the_status_history(
    make_world: Callable[[], World], steps: list[tuple[str, int]]
) -> None:
    world = make_world()
    try:
        for name, number in (("push", 0), *steps):
            world.step(name, number)
    finally:
        databases.empty(connection)
