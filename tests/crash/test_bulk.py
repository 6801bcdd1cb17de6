"""A worker killed anywhere in a bulk run: another goes on, and each order is pushed once."""

from collections import Counter

import pytest

from erp_connectors.bulk import runs
from erp_connectors.bulk.models import BulkAction, Outcome
from erp_connectors.models import ERPExport
from tests import factories
from tests.crash.conftest import MakeCell

ORDERS = 25
CHUNKS_OF_TEN = {"erp_connectors.bulk.runs.CHUNK": 10}
# Of three chunks, of the wake-up after each, and of the end.
POINTS = [f"before-commit{n}" for n in ("", "-2", "-3", "-4", "-5", "-6", "-7")]


@pytest.mark.parametrize("point", POINTS)
def test_a_bulk_run_killed_anywhere_pushes_each_order_once(make_cell: MakeCell, point: str) -> None:
    cell = make_cell("filesystem", takes=False)
    drafts = factories.drafts(cell.org, ORDERS)
    run = runs.make(BulkAction.PUSH, factories.ids(drafts), actor=factories.user(cell.org))
    runs.confirm(run)

    killed = cell.workers.run("execute_run", run.pk, plan={point: "SIGKILL"}, constants=CHUNKS_OF_TEN)
    assert killed.how == "killed"
    settled = run.rows.exclude(outcome=Outcome.OPEN).count()
    rest = cell.workers.run("execute_run", run.pk, constants=CHUNKS_OF_TEN)

    assert int(rest.said) == ORDERS - settled
    assert Counter(run.rows.values_list("outcome", flat=True)) == {Outcome.DONE: ORDERS}
    pushed = ERPExport.objects.filter(org=cell.org).values_list("draft_order", flat=True)
    assert (len(pushed), len(set(pushed))) == (ORDERS, ORDERS)
    run.refresh_from_db()
    assert run.finished_at is not None
