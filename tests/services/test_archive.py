"""The archive on a real S3 server, and on a folder."""

from typing import Any

import pytest
from django.core.files.storage import storages
from django.core.files.storage.handler import StorageHandler

from erp_connectors import archive
from erp_connectors.archive import ArchiveAltered, ArchiveUnavailable, Copy
from erp_connectors.models import ERPExport
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.payload_store import bytes_of
from erp_connectors.services.exports.push import push_many
from orderflow import archive_settings
from orderflow import settings as deployed
from tests import factories


def storages_of(backends: dict[str, Any]) -> StorageHandler:
    handler: Any = StorageHandler
    made: StorageHandler = handler(backends)
    return made


@pytest.fixture(params=["folder", "s3"])
def store(request, monkeypatch, tmp_path):
    """The archive as the settings make it from the environment; returns the folder that the copies end up in."""
    if request.param == "folder":
        monkeypatch.setenv("ARCHIVE_DIR", str(tmp_path / "archive"))
        folder = tmp_path / "archive"
    else:
        server = request.getfixturevalue("s3")
        environment = {
            "S3_ENDPOINT_URL": server.endpoint,
            "S3_BUCKET": server.bucket,
            "S3_ACCESS_KEY_ID": server.access_key,
            "S3_SECRET_ACCESS_KEY": server.secret_key,
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        folder = server.folder
    monkeypatch.setattr(archive, "storages", storages_of({"exports": archive_settings.storage(deployed.VAR)}))
    return folder


def test_a_copy_comes_back_as_it_went_in(store):
    assert archive.put_all([Copy(f"exports/o/{n}.json", b"%d" % n) for n in range(30)]) == [None] * 30

    assert (store / "exports/o/7.json").read_bytes() == b"7"
    assert archive.read("exports/o/7.json", expected_sha256=archive.sha256(b"7")) == b"7"


def test_a_copy_that_a_crash_left_behind_is_replaced_under_its_own_name(store):
    archive.put_all([Copy("exports/o/a.json", b"half")])

    assert archive.put_all([Copy("exports/o/a.json", b"whole")]) == [None]
    assert (store / "exports/o/a.json").read_bytes() == b"whole"
    assert [path.name for path in (store / "exports/o").glob("a*")] == ["a.json"]


def test_a_copy_that_was_altered_is_not_handed_out(store):
    archive.put_all([Copy("exports/o/b.json", b"true")])
    (store / "exports/o/b.json").write_bytes(b"fake")

    with pytest.raises(ArchiveAltered):
        archive.read("exports/o/b.json", expected_sha256=archive.sha256(b"true"))


def test_a_copy_that_is_gone_is_not_mistaken_for_an_empty_one(store):
    with pytest.raises(ArchiveUnavailable):
        archive.read("exports/o/none.json", expected_sha256=archive.sha256(b""))


def test_what_is_delivered_is_what_is_archived(site, store):
    push_many(factories.ids(factories.drafts(site.org, 5)), actor=None)

    assert deliver(site.connection.pk).sent == 5

    for export in ERPExport.objects.all():
        assert export.archived_at
        assert (store / export.export_storage_key).read_bytes() == site.published()[export.filename]
        assert bytes_of(export) == site.published()[export.filename]


def test_the_default_is_a_folder():
    assert storages["exports"].__class__.__name__ == "FolderStorage"
