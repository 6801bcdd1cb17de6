"""What can break on our own side of the dropzone: the archive and the connection's stored configuration."""

import secrets
from typing import Any

import asyncssh as ssh
import pytest
from django.core.files.storage.handler import StorageHandler

from erp_connectors import archive
from erp_connectors.models import ERPExport
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.upkeep import sweep
from erp_connectors.states import ExportStatus
from orderflow import archive_settings
from orderflow import settings as deployed
from tests.faults.conftest import assert_told, told
from tests.servers.ssh import free_port

pytestmark = pytest.mark.deep


@pytest.fixture
def archive_at(monkeypatch, s3):
    """Point the archive at an S3 server, with the credentials of the real one unless told otherwise."""

    def point(**changed):
        environment = {
            "S3_ENDPOINT_URL": s3.endpoint,
            "S3_BUCKET": s3.bucket,
            "S3_ACCESS_KEY_ID": s3.access_key,
            "S3_SECRET_ACCESS_KEY": s3.secret_key,
            **changed,
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        handler: Any = StorageHandler
        monkeypatch.setattr(archive, "storages", handler({"exports": archive_settings.storage(deployed.VAR)}))

    return point


FAILURES = {
    "down": lambda: {"S3_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"},
    "refusing the credentials": lambda: {"S3_SECRET_ACCESS_KEY": "not-the-secret-key"},
    "without the bucket": lambda: {"S3_BUCKET": "no-such-bucket"},
}


@pytest.mark.parametrize("problem", FAILURES.values(), ids=FAILURES)
def test_a_failing_object_store_holds_up_no_order_and_loses_no_copy(
    erp_at, asyncssh, archive_at, s3, problem
):
    erp = erp_at(asyncssh)
    archive_at(**problem())

    export = erp.delivered()

    assert (export.status, export.archived_at) == (ExportStatus.SENT, None)
    assert erp.published() == [export.filename]
    assert sweep.archive_backlog() == 0

    archive_at()
    assert sweep.archive_backlog() == 1
    export.refresh_from_db()
    assert (export.payload, export.archived_at is not None) == (None, True)
    assert (s3.folder / export.export_storage_key).read_bytes() == (
        erp.server.root / "in" / export.filename
    ).read_bytes()


def test_a_copy_that_can_not_be_read_back_is_told(erp_at, asyncssh, archive_at, behaviour):
    """The bytes are in the object store alone, the order no longer renders to them, and the store is down."""
    erp = erp_at(asyncssh)
    archive_at()
    export = _rendered_only(erp, behaviour)
    export.draft_order.lines.update(internal_sku="CHANGED")
    archive_at(**FAILURES["down"]())

    erp.waits_no_longer()
    deliver(erp.connection.pk)
    export.refresh_from_db()
    told(export.error_json, "ARCHIVE_UNAVAILABLE")
    assert export.status == ExportStatus.PENDING

    archive_at()
    erp.waits_no_longer()
    deliver(erp.connection.pk)
    export.refresh_from_db()
    assert export.status == ExportStatus.SENT


def _rendered_only(erp, behaviour):
    def full(operation, name):
        raise ssh.SFTPFailure("No space left on device")

    behaviour.interfere = full
    export: ERPExport = erp.delivered()
    behaviour.interfere = None
    told(export.error_json, "DISK_FULL")
    return export


def test_a_config_that_no_longer_decrypts(erp_at, asyncssh, settings):
    erp = erp_at(asyncssh)
    good = settings.ENCRYPTION_MASTER_KEY
    settings.ENCRYPTION_MASTER_KEY = secrets.token_hex(32)

    message = assert_told(erp, "CONFIG_UNREADABLE", step="config")
    waiting = erp.push()

    assert str(erp.connection.pk) in message
    settings.ENCRYPTION_MASTER_KEY = good
    assert erp.probed().ok
    assert deliver(erp.connection.pk).sent == 2
    waiting.refresh_from_db()
    assert waiting.status == ExportStatus.SENT
