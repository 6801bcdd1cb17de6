"""Polls killed and frozen at every step: the same answers end in the same state, and no file is lost."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from erp_connectors.models import AckFile, ERPExport, ERPExportEvent
from erp_connectors.services.connections.ack_folders import REASON_SUFFIX
from erp_connectors.states import AckFileStatus, ExportStatus, FailedAs
from orderflow.audit.models import Action, AuditLog
from orderflow.orders.states import DraftStatus
from tests.crash.cells import Cell
from tests.crash.conftest import MakeCell
from tests.crash.dropzones import KINDS

STEPS = (
    "before-list",
    "before-read",
    "acks-read",
    "before-commit",
    "acks-decided",
    "acks-moved-before-reasons",
    "before-read-2",
    "acks-moved-before-commit",
    "before-release",
)
NEW_FOLDERS = ("before-make_folder", "after-make_folder", "after-make_folder-2")
_SFTP = (
    "stage-half-sent", "stage-itself-half-sent", "before-open", "after-open", "move-half-sent", "move-half-sent-2",
    "move-itself-half-sent",
)  # fmt: skip
IN_THE_MIDDLE = {
    "filesystem": (
        "stage-half-written",
        "stage-half-written-2",
        "move-link",
        "move-unlink",
        "move-link-2",
        "move-unlink-5",
    ),
    "openssh": _SFTP,
    "asyncssh": _SFTP,
}  # fmt: skip
# Nothing happens between these and a point above.
THE_SAME = {
    "before-stage",
    "after-stage",
    "after-list",
    "after-read",
    "after-read-2",
    "before-move",
    "after-move",
    "before-close",
    "after-close",
}
# What lies between its calls is the same for every server: one of them has those points, all have those within calls.
CELLS = [
    (kind, point)
    for kind in KINDS
    for point in (*IN_THE_MIDDLE[kind], *NEW_FOLDERS, *(STEPS if kind != "openssh" else ()))
]
# Within a transaction it holds the lock that whoever takes over needs.
FREE_TO_TAKE_OVER = [(kind, point) for kind, point in CELLS if not point.startswith("before-commit")]

ACCEPTED = b'{"status": "ACKED", "erp_order_id": "SO-%d", "processed_at": "2026-11-23T10:01:00Z"}'
REFUSED = b'{"status": "FAILED", "error_code": "ERP_VALIDATION", "message": "Unknown customer 4711"}'
BROKEN = b'{"status": }'
UNMATCHED = "ack_sales_order_00000000_20260101_000000_00000000.json"


@dataclass
class Answered:
    """A cell whose ERP has answered: accepted, refused, accepted twice, of no export, and broken."""

    cell: Cell
    exports: list[ERPExport]

    def require_settled(self) -> None:
        first, second, third, fourth = [ERPExport.objects.get(pk=export.pk) for export in self.exports]
        assert [export.status for export in (first, second, third, fourth)] == [
            ExportStatus.ACKED, ExportStatus.FAILED, ExportStatus.ACKED, ExportStatus.SENT
        ]  # fmt: skip
        assert (first.erp_order_id, first.draft_order.erp_order_id) == ("SO-1", "SO-1")
        assert (second.failed_as, second.draft_order.status) == (FailedAs.REFUSED, DraftStatus.ERROR)
        events = ERPExportEvent.objects.filter(export__org=self.cell.org).values_list("what", flat=True)
        assert (list(events).count("acked"), list(events).count("refused")) == (2, 1)
        audited = AuditLog.objects.filter(org=self.cell.org).values_list("action", flat=True)
        assert Counter(audited)[Action.EXPORT_ACKED] == 2
        assert Counter(audited)[Action.EXPORT_REFUSED] == 1
        self.require_filed()
        self.cell.count(self.exports)

    def require_filed(self) -> None:
        acks = self.cell.folder / "ack"
        assert [path.name for path in acks.iterdir() if path.is_file()] == []
        processed = Counter(path.read_bytes() for path in (acks / "processed").iterdir())
        assert processed == {ACCEPTED % 1: 1, REFUSED: 1, ACCEPTED % 3: 2}
        wrong = [path for path in (acks / "error").iterdir() if not path.name.endswith(REASON_SUFFIX)]
        assert Counter(path.read_bytes() for path in wrong) == {ACCEPTED % 5: 1, BROKEN: 1}
        assert {path.name for path in (acks / "error").iterdir() if path not in wrong} == {
            path.name + REASON_SUFFIX for path in wrong
        }
        rows = AckFile.objects.filter(org=self.cell.org)
        assert not rows.present().exists()
        assert Counter(row.status for row in rows) == {
            AckFileStatus.APPLIED: 3, AckFileStatus.REPEATED: 1,
            AckFileStatus.UNMATCHED: 1, AckFileStatus.MALFORMED: 1,
        }  # fmt: skip


@pytest.fixture
def answered(make_cell: MakeCell) -> Callable[..., Answered]:
    def make(kind: str, *, folders: bool) -> Answered:
        cell = make_cell(kind, takes=True)
        for place in ("processed", "error") if folders else ():
            (cell.folder / "ack" / place).mkdir()
        first, second, third, fourth = exports = cell.push(4)
        cell.finished()
        cell.answer(f"ack_{fourth.filename}", BROKEN)
        cell.poll()  # it might still be written to; the next poll decides it
        cell.answer(f"ack_{first.filename}", ACCEPTED % 1)
        cell.answer(f"error_{second.filename}.json", REFUSED)
        cell.answer(f"ack_{third.filename}", ACCEPTED % 3)
        cell.answer(f"ack_{third.filename}.json", ACCEPTED % 3)
        cell.answer(UNMATCHED, ACCEPTED % 5)
        return Answered(cell, exports)

    return make


@pytest.mark.parametrize(("kind", "point"), CELLS)
def test_a_poll_killed_anywhere_loses_and_repeats_nothing(
    answered: Callable[..., Answered], kind: str, point: str
) -> None:
    it = answered(kind, folders=point not in NEW_FOLDERS)

    assert it.cell.poll(plan={point: "SIGKILL"}).how == "killed"
    it.cell.poll()

    it.require_settled()


@pytest.mark.parametrize(("kind", "point"), FREE_TO_TAKE_OVER)
def test_a_poll_frozen_anywhere_changes_nothing_when_it_wakes_up(
    answered: Callable[..., Answered], kind: str, point: str
) -> None:
    it = answered(kind, folders=point not in NEW_FOLDERS)

    frozen = it.cell.poll(plan={point: "SIGSTOP"})
    assert frozen.how == "stopped"
    it.cell.poll()
    it.cell.woken(frozen)
    it.cell.poll()

    it.require_settled()


@pytest.mark.parametrize("kind", KINDS)
def test_the_matrix_has_every_point_that_a_poll_passes(answered: Callable[..., Answered], kind: str) -> None:
    passed = answered(kind, folders=True).cell.poll().passed

    assert set(STEPS) <= set(passed)
    new = set(passed) - set(STEPS) - set(IN_THE_MIDDLE[kind]) - THE_SAME
    assert {point for point in new if not point.startswith(("move-", "stage-"))} == set()


@pytest.mark.parametrize("kind", KINDS)
def test_a_poll_that_wakes_up_late_leaves_a_newer_answer_of_the_same_name_alone(
    answered: Callable[..., Answered], kind: str
) -> None:
    it = answered(kind, folders=True)
    frozen = it.cell.poll(plan={"acks-decided": "SIGSTOP"})
    it.cell.poll()
    name = f"error_{it.exports[1].filename}.json"
    it.cell.answer(name, REFUSED + b" ")

    it.cell.woken(frozen)
    assert (it.cell.folder / "ack" / name).read_bytes() == REFUSED + b" "

    it.cell.poll()
    assert (
        AckFile.objects.get(org=it.cell.org, name=name, size=len(REFUSED) + 1).status
        == AckFileStatus.REPEATED
    )
