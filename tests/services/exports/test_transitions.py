"""The table of transitions is complete, nothing else changes a status, and a row that moved meanwhile stays."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from erp_connectors.faults import CONNECTION_LOST, Fault
from erp_connectors.models import ERPExport
from erp_connectors.outbox.events import Event
from erp_connectors.services.exports import transitions
from erp_connectors.services.exports.push import push
from erp_connectors.services.exports.transition_table import TRANSITIONS
from erp_connectors.states import EXPORT_MOVES, ExportStatus, FailedAs
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DRAFT_MOVES, DraftStatus
from orderflow.transitions import IllegalMove
from tests import factories
from tests.refusals import refused

ROOT = Path(__file__).resolve().parents[3]
IN_FOLDER = {"mode": "filesystem", "export_path": "/in"}
COLUMNS = {"status", "failed_as"}
WRITERS = {
    "update", "create", "get_or_create", "update_or_create", "ERPExport", "setattr", "update_rows", "update_rows_where",
    "bulk_update",
}  # fmt: skip
THE_PLACES = {"erp_connectors/services/exports/apply_transition.py", "orderflow/orders/transitions.py"}
# Other rows that have a status, and orders before anybody has approved them.
OTHERS = {
    "erp_connectors/services/acks/contradictions.py": "ack files",
    "erp_connectors/services/acks/decide.py": "ack files",
    "erp_connectors/services/connections/manage.py": "connections",
    "orderflow/idempotency/services.py": "answers to requests",
    "orderflow/orders/drafting.py": "a new order",
    "orderflow/orders/importing/writing.py": "a new order",
}


def export() -> ERPExport:
    org = factories.org()
    factories.connection(org, IN_FOLDER)
    return push(factories.draft(org).pk, actor=None).export


def test_the_table_covers_each_allowed_move_and_no_other() -> None:
    moves = {(status, one.to) for one in TRANSITIONS for status in one.from_statuses}

    assert moves == {(status, to) for status, targets in EXPORT_MOVES.items() for to in targets}


def test_each_row_of_the_table_makes_sense() -> None:
    for one in TRANSITIONS:
        assert (one.to == ExportStatus.FAILED) == (one.failed_as != FailedAs.NOT_FAILED), one
        assert one.notifies is None or one.to == ExportStatus.FAILED, one
        assert one.notifies != Event.EXPORT_REFUSED or one.failed_as == FailedAs.REFUSED, one
        assert one.order is None or all(one.order.to in DRAFT_MOVES[of] for of in one.order.from_statuses), (
            one
        )


def test_no_other_module_changes_the_status_of_an_export_or_an_order() -> None:
    found = {
        str(path.relative_to(ROOT)): lines
        for package in ("erp_connectors", "orderflow")
        for path in sorted((ROOT / package).rglob("*.py"))
        if "migrations" not in path.parts and (lines := list(_writes(path)))
    }

    assert set(found) == {*THE_PLACES, *OTHERS}, found


def test_only_transitions_of_the_table_are_applied() -> None:
    users = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "erp_connectors").rglob("*.py"))
        if "exports.apply_transition" in path.read_text(encoding="utf-8")
    ]

    assert users == ["erp_connectors/services/exports/transitions.py"]


def _writes(path: Path) -> Iterator[int]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Assign(targets=targets) if any(_is_status(target) for target in targets):
                yield node.lineno
            case ast.AugAssign(target=target) | ast.AnnAssign(target=target) if _is_status(target):
                yield node.lineno
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in WRITERS:
                names = {word.arg for word in node.keywords}
                named = {arg.value for arg in node.args if isinstance(arg, ast.Constant)}
                if COLUMNS & (names | named):
                    yield node.lineno


def _is_status(target: ast.expr) -> bool:
    return isinstance(target, ast.Attribute) and target.attr in COLUMNS


@pytest.mark.django_db
def test_a_move_that_the_table_does_not_allow_is_refused() -> None:
    row = export()

    with refused(IllegalMove, "export.illegal_move", status="PENDING", to="SENT"):
        transitions.resolve_as_published([row], folder="/in")

    row.refresh_from_db()
    assert row.status == ExportStatus.PENDING


@pytest.mark.django_db
def test_a_row_that_moved_meanwhile_stays_and_leaves_no_traces() -> None:
    row, other = export(), export()
    stale = ERPExport.objects.get(pk=row.pk)
    assert transitions.publish([row], folder="/in") == [row]
    events = row.events.count()

    moved = transitions.publish([stale, other], folder="/elsewhere")

    assert moved == [other]
    assert other.dropzone_path == f"/elsewhere/{other.filename}"
    row.refresh_from_db()
    assert (row.dropzone_path, row.events.count()) == (f"/in/{row.filename}", events)


@pytest.mark.django_db
def test_an_export_that_was_answered_meanwhile_does_not_fail() -> None:
    row = export()
    stale = ERPExport.objects.get(pk=row.pk)
    transitions.publish([row], folder="/in")

    failed = transitions.fail([(stale, Fault(CONNECTION_LOST), "publish")], now=row.created_at)

    row.refresh_from_db()
    assert (failed, row.status, row.error_json) == ([], ExportStatus.SENT, None)
    assert DraftOrder.objects.get(pk=row.draft_order_id).status == DraftStatus.PUSHED
