"""A folder may be written with a slash at its end, and may be the root that an SFTP server shows its user."""

from datetime import timedelta

import pytest
from django.utils import timezone

from erp_connectors.common_fields import Dropzone
from erp_connectors.dropzone_paths import temporary
from erp_connectors.dropzones import dropzone_of
from erp_connectors.models import AckFile, ERPConnection, ERPExport
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.connections.connection_test import test_connection as run_test
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.reconciliation.reconcile import reconcile
from erp_connectors.states import ExportStatus
from tests.servers.asyncssh_server import asyncssh_server
from tests.services.acks.test_poll import ACKED
from tests.services.delivery.test_deliver import pushed


@pytest.mark.parametrize(
    ("export_path", "ack_path"), [("/", "/ack"), ("/in", "/"), ("/in/", "/ack//"), ("/", "/")]
)
def test_an_order_and_its_answer_pass(site, tmp_path, export_path, ack_path):
    root = tmp_path / "server"
    for folder in ("in", "ack"):
        (root / folder).mkdir(parents=True)
    orders, answers = (root / path.strip("/") for path in (export_path, ack_path))
    with asyncssh_server(root) as server:
        site.connection.config = server.config(export_path=export_path, ack_path=ack_path)
        site.connection.save()
        dropzone = dropzone_of(site.connection)
        tested = run_test(site.connection.pk, actor=None)
        (first,) = pushed(site, 1)
        assert deliver(site.connection.pk).sent == 1
        left = orders / temporary(first.filename, 7)
        left.touch()
        # The first delivery of a day lists the folder.
        ERPConnection.objects.update(last_success_at=timezone.now() - timedelta(days=1))
        (second,) = pushed(site, 1)
        assert deliver(site.connection.pk).sent == 1
        (answers / f"ack_{first.filename}").write_bytes(ACKED)
        report = poll(site.connection.pk)
        found = reconcile(site.connection.pk)

    assert all(step.ok for step in tested), [step.fault for step in tested]
    assert not left.exists()
    assert (report.accepted, report.error) == (1, "")
    assert ERPExport.objects.get(pk=first.pk).status == ExportStatus.ACKED
    assert (answers / "processed" / f"ack_{first.filename}").read_bytes() == ACKED
    assert (found.findings, found.errors) == ([], [])
    paths = [ERPExport.objects.get(pk=second.pk).dropzone_path, AckFile.objects.get().moved_to]
    assert [path.strip("/") for path in paths] == [
        str((orders / second.filename).relative_to(root)),
        str((answers / "processed" / f"ack_{first.filename}").relative_to(root)),
    ]
    assert not any("//" in path for path in paths)
    assert dropzone.one_folder == (orders == answers)


def test_a_slash_at_the_end_makes_no_other_dropzone(site):
    def read(**changes: object) -> Dropzone:
        site.connection.config = {**site.connection.config, **changes}
        return dropzone_of(site.connection)

    plain = read()

    assert read(export_path=f"{site.inbox}/", ack_path=f"{site.acks}//") == plain
