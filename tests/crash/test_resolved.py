"""Outcome unknown: the process that resolves it is killed or frozen on the way, and the order is still sent once."""

import pytest
from django.utils import timezone

from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.services.exports.push import retry_push
from erp_connectors.states import ExportStatus, FailedAs
from orderflow.orders.states import DraftStatus
from tests.crash.cells import Cell
from tests.crash.conftest import MakeCell
from tests.crash.dropzones import KINDS

LAST_TRY = {"DELIVERY_MAX_ATTEMPTS": 1}
CALL = "publish"
POINTS = (f"before-{CALL}", f"after-{CALL}", "resolved-before-commit", "before-commit-2")
IN_THE_MIDDLE = {
    "filesystem": (f"{CALL}-rename",),
    "openssh": (f"{CALL}-itself-half-sent",),
    "asyncssh": (f"{CALL}-itself-half-sent",),
}
CELLS = [(kind, point) for kind in KINDS for point in (*POINTS, *IN_THE_MIDDLE[kind])]
# Within a transaction it holds the lock that whoever takes over needs.
FREE_TO_TAKE_OVER = [(kind, point) for kind, point in CELLS if not point.startswith("before-commit")]


def lost(cell: Cell, renamed: str) -> ERPExport:
    """An export whose link died before or after its rename and stayed dead until the last try; retried."""
    (export,) = cell.push(1)
    cell.deliver(settings=LAST_TRY, lose={"publish": renamed})
    export.refresh_from_db()
    assert (export.status, export.failed_as) == (ExportStatus.FAILED, FailedAs.UNKNOWN)
    ERPConnection.objects.filter(pk=cell.connection.pk).update(retry_at=timezone.now())
    return retry_push(export.draft_order_id, actor=None).export


def require_sent_once(cell: Cell, *, renamed: bool) -> None:
    cell.erp.settle()
    first, second = sorted(cell.exports(), key=lambda export: export.created_at)
    assert second.draft_order.status == DraftStatus.PUSHED
    sent, not_sent = (first, second) if renamed else (second, first)
    assert cell.erp.seen.appeared == {sent.filename: 1}
    assert cell.erp.seen.unfinished == set()
    assert (sent.status, sent.failed_as) == (ExportStatus.SENT, FailedAs.NOT_FAILED)
    assert (not_sent.status, not_sent.failed_as) == (ExportStatus.FAILED, FailedAs.NOT_SENT)
    assert cell.leftovers() == []
    cell.count([sent])


@pytest.mark.parametrize("renamed", [False, True], ids=["not-renamed", "renamed"])
@pytest.mark.parametrize(("kind", "point"), CELLS)
def test_a_worker_killed_while_it_settles_sends_once(
    make_cell: MakeCell, kind: str, point: str, renamed: bool
) -> None:
    cells = [make_cell(kind, takes=takes) for takes in (False, True)]
    for cell in cells:
        lost(cell, renamed="after" if renamed else "before")

    for cell in cells:
        cell.killed(point)
    for cell in cells:
        cell.finished()

    for cell in cells:
        require_sent_once(cell, renamed=renamed)


@pytest.mark.parametrize("renamed", [False, True], ids=["not-renamed", "renamed"])
@pytest.mark.parametrize(("kind", "point"), FREE_TO_TAKE_OVER)
def test_a_worker_frozen_while_it_settles_changes_nothing_when_it_wakes_up(
    make_cell: MakeCell, kind: str, point: str, renamed: bool
) -> None:
    cells = [make_cell(kind, takes=takes) for takes in (False, True)]
    for cell in cells:
        lost(cell, renamed="after" if renamed else "before")

    frozen = [cell.frozen(point) for cell in cells]
    for cell in cells:
        cell.finished()
    for cell, sleeper in zip(cells, frozen, strict=True):
        cell.woken(sleeper)

    for cell in cells:
        require_sent_once(cell, renamed=renamed)
