"""Orders through real buckets, from the connection test to the ERP's answer."""

import pytest

from erp_connectors.models import AckFile, ERPExport
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.connections.connection_test import test_connection as run_test
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push_many
from erp_connectors.states import ExportStatus
from orderflow.messages import text
from tests import factories
from tests.servers.bucket_path import BucketPath, client_of
from tests.servers.moto_s3 import moto_server

pytestmark = [pytest.mark.deep, pytest.mark.django_db]


@pytest.fixture(scope="module")
def versioned(tmp_path_factory):
    with moto_server(tmp_path_factory.mktemp("moto"), versions=True, expiry=True) as server:
        yield server


@pytest.fixture(params=["rclone", "moto"])
def bucket(request, settings):
    settings.SFTP_ALLOW_LOOPBACK = True
    return request.getfixturevalue("s3" if request.param == "rclone" else "versioned")


@pytest.fixture
def folder(bucket, request):
    """A prefix of the test's own."""
    return BucketPath(client_of(bucket), bucket.bucket, request.node.name)


@pytest.fixture
def connection(bucket, folder):
    config = bucket.config(export_path=f"/{folder.key}/in", ack_path=f"/{folder.key}/ack", done_marker=True)
    return factories.connection(factories.org(), config)


def test_an_order_reaches_the_erp_and_its_answer_reaches_us(connection, folder, bucket):
    steps = run_test(connection.pk, actor=None)

    assert [(step.name, step.fault) for step in steps if step.fault] == []
    assert [step.name for step in steps][:2] == ["tcp", "bucket"]
    guarantee = next(step.guarantee for step in steps if step.guarantee)
    expected = "EXACTLY_ONCE" if "moto" in folder.key else "AT_LEAST_ONCE"
    assert guarantee.level == expected
    assert list(folder.names()) == []

    orders = factories.drafts(connection.org, 5)
    push_many(factories.ids(orders), actor=None)
    assert deliver(connection.pk).sent == 5

    sent = {export.filename for export in ERPExport.objects.filter(status=ExportStatus.SENT)}
    assert set((folder / "in").names()) == sent | {f"{name}.done" for name in sent}
    accepted, refused, *_ = sorted(sent)
    (folder / "ack" / f"ack_{accepted}").write_bytes(b'{"status": "ACKED", "erp_order_id": "SO-1"}')
    (folder / "ack" / f"error_{refused}").write_bytes(b'{"status": "FAILED", "message": "Unknown customer"}')

    assert poll(connection.pk).error == ""
    assert poll(connection.pk).error == ""

    states = {export.filename: export.status for export in ERPExport.objects.all()}
    assert (states[accepted], states[refused]) == (ExportStatus.ACKED, ExportStatus.FAILED)
    assert sorted((folder / "ack").names()) == sorted(
        [f"processed/error_{refused}", f"processed/ack_{accepted}"]
    )
    assert AckFile.objects.count() == 2


def test_the_test_says_how_to_get_a_stronger_guarantee(s3, settings):
    settings.SFTP_ALLOW_LOOPBACK = True
    connection = factories.connection(factories.org(), s3.config(export_path="/in"))

    steps = run_test(connection.pk, actor=None)

    found = " ".join(text(step.found) for step in steps if step.found)
    assert "Enable versioning on the bucket" in found
    assert "ignores If-None-Match" in found


def test_no_answer_is_lost_if_its_name_is_taken_in_processed(connection, folder):
    (order,) = factories.drafts(connection.org, 1)
    push_many([order.pk], actor=None)
    deliver(connection.pk)
    name = f"ack_{ERPExport.objects.get().filename}"
    (folder / "ack" / "processed" / name).write_bytes(b"something else")
    (folder / "ack" / name).write_bytes(b'{"status": "ACKED", "erp_order_id": "SO-1"}')

    for _ in range(2):
        assert poll(connection.pk).error == ""

    assert ERPExport.objects.get().status == ExportStatus.ACKED
    kept = {one: (folder / "ack" / one).read_bytes() for one in (folder / "ack").names()}
    assert set(kept.values()) == {b"something else", b'{"status": "ACKED", "erp_order_id": "SO-1"}'}
    assert all(one.startswith("processed/") for one in kept)
