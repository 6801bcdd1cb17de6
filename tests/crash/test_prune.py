"""A worker killed anywhere in a run of retention: another one finishes it, and no order can be sent again."""

from datetime import timedelta

import pytest
from django.core.files.storage import storages
from django.utils import timezone

from erp_connectors.models import AckFile
from erp_connectors.retention import runs
from erp_connectors.retention.models import RetentionRun, RetentionShare
from erp_connectors.services.exports.push import push
from orderflow.audit.models import Action, AuditLog
from tests.crash.conftest import MakeCell
from tests.retention.conftest import age
from tests.services.acks.test_poll import ACKED

STEPS = ["prune-marked", "prune-deleted", "prune-noted", "prune-answers-removed", "prune-events-removed"]
# Of the share, of each kind of content, and of the end.
COMMITS = [f"before-commit{n}" for n in ("", "-2", "-3", "-4", "-5")]


@pytest.mark.parametrize("point", [*STEPS, *COMMITS])
def test_a_run_killed_anywhere_is_finished_by_the_next(make_cell: MakeCell, point: str) -> None:
    cell = make_cell("filesystem", takes=False)
    exports = cell.push(2)
    cell.deliver()
    for export in exports:
        cell.answer(f"ack_{export.filename}", ACKED)
    cell.poll()
    age()
    run = runs.begin(org=None, older_than=100)

    ended = cell.workers.run("prune", run.pk, plan={point: "SIGKILL"})
    RetentionRun.objects.update(lease_until=timezone.now() - timedelta(minutes=1))
    rest = cell.workers.run("prune", run.pk)

    assert (ended.how, rest.how) == ("killed", "exited"), ended.passed
    for export in cell.exports():
        assert not storages["exports"].exists(export.export_storage_key)
        assert export.payload_removed_at
        assert export.copy_gone_at
        assert push(export.draft_order_id, actor=None).export == export
    assert AckFile.objects.filter(org=cell.org, body=None, answer_json__erp_order_id="SO-1").count() == 2
    share = RetentionShare.objects.get(org=cell.org)
    assert (share.files, share.answers, share.events) == (2, 2, 2)
    assert AuditLog.objects.filter(org=cell.org, action=Action.CONTENTS_REMOVED).count() == 1
