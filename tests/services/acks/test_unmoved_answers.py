"""An answer that could not be moved out of the ack folder is tried again, at growing intervals."""

from datetime import timedelta
from pathlib import Path

import asyncssh
import pytest
from django.core.management import call_command
from django.utils import timezone

from erp_connectors.models import AckFile
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.connections.connection_test import test_connection as run_test
from erp_connectors.services.connections.manage import change_connection
from erp_connectors.services.reconciliation.reconcile import reconcile
from erp_connectors.states import AckFileStatus
from tests.servers.asyncssh_server import Behaviour, asyncssh_server
from tests.services.acks.test_poll import ACKED
from tests.services.delivery.test_deliver import pushed

MALFORMED = b'{"status": "OK"}'
# What the server denies, how, and the answer that it is denied for.
CASES = {
    "an accepted answer may not be moved": ("rename", asyncssh.SFTPPermissionDenied, ACKED),
    "no folder for a malformed one": ("mkdir", asyncssh.SFTPPermissionDenied, MALFORMED),
    "moving a malformed one fails": ("rename", asyncssh.SFTPFailure, MALFORMED),
}


class Denied:
    """While ``denied``, the server refuses to move anything, or to make a folder."""

    def __init__(self, operation, error):
        self.operation, self.error, self.denied = operation, error, True

    def __call__(self, operation, path):
        if self.denied and operation == self.operation:
            raise self.error("being used by another process")


@pytest.fixture(params=list(CASES.values()), ids=list(CASES))
def case(request):
    return request.param


@pytest.fixture
def denied(case):
    return Denied(*case[:2])


@pytest.fixture
def unmoved(case, site, tmp_path, denied):
    """The row of an answer that could not be moved, and its file."""
    root = tmp_path / "server"
    (root / "in").mkdir(parents=True)
    (root / "ack").mkdir()
    behaviour = Behaviour(interfere=denied, look=denied)
    with asyncssh_server(root, behaviour=behaviour) as server:
        site.connection.config = server.config()
        site.connection.save()
        (export,) = pushed(site, 1)
        denied.denied = False
        call_command("deliver")
        denied.denied = True
        path = root / "ack" / f"ack_{export.filename}"
        path.write_bytes(case[2])
        for _ in range(3):
            poll(site.connection.pk)
        yield AckFile.objects.get(), path


def time_passes(seconds):
    for row in AckFile.objects.exclude(move_retry_at=None):
        assert row.move_retry_at
        AckFile.objects.filter(pk=row.pk).update(move_retry_at=row.move_retry_at - timedelta(seconds=seconds))


def test_it_is_moved_once_that_is_allowed(site, denied, unmoved):
    row, path = unmoved
    assert path.exists()
    assert row.stays

    denied.denied = False
    time_passes(60)
    poll(site.connection.pk)

    row.refresh_from_db()
    assert not path.exists()
    assert not row.stays
    assert row.moved_at


def test_the_intervals_grow(site, unmoved):
    row, _ = unmoved
    waits = []
    for _ in range(6):
        time_passes(3600)
        began = timezone.now()
        poll(site.connection.pk)
        row.refresh_from_db()
        waits.append(round((row.move_retry_at - began).total_seconds(), -1))

    assert waits == sorted(waits)
    assert waits[0] < waits[-1] == 900
    poll(site.connection.pk)
    failures = row.move_failures
    row.refresh_from_db()
    assert row.move_failures == failures, "not before its time"


@pytest.mark.parametrize("event", ["passed test", "changed config", "command"])
def test_it_is_tried_at_once_after(site, denied, unmoved, event):
    row, path = unmoved
    denied.denied = False

    if event == "passed test":
        assert all(step.ok for step in run_test(site.connection.pk, actor=None))
    elif event == "changed config":
        site.connection.refresh_from_db()
        change_connection(site.connection.pk, actor=None, config={**site.connection.config, "io_timeout": 20})
    if event == "command":
        call_command("poll_acks", "--connection", str(site.connection.pk))
    else:
        poll(site.connection.pk)

    row.refresh_from_db()
    assert not path.exists()
    assert row.moved_at


def test_reconcile_reports_it(site, unmoved):
    row, path = unmoved

    findings = [finding for finding in reconcile(site.connection.pk).findings if finding.kind == "unmoved"]

    assert [(Path(one.path).name, one.export_id) for one in findings] == [(path.name, row.export_id)]
    assert row.status in (AckFileStatus.APPLIED, AckFileStatus.MALFORMED)
