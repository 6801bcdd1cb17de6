from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.storage import storages
from django.utils import timezone

from erp_connectors import archive
from erp_connectors.models import AckFile, ERPExport, ERPExportEvent
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports import batching
from erp_connectors.services.exports.push import push_many
from erp_connectors.services.reconciliation.reconcile import reconcile
from erp_connectors.services.reconciliation.report import FindingKind
from erp_connectors.states import ExportStatus, FailedAs
from orderflow.audit.models import AuditLog
from tests import factories
from tests.services.acks.test_poll import ACKED, FAILED, sent
from tests.services.conftest import Killed, die

STRANGER = "sales_order_00000000_20260101_000000_00000000.json"


def found(site):
    report = reconcile(site.connection.pk)
    assert report.errors == []
    return {(one.kind, one.path.rsplit("/", 1)[-1], one.export_id) for one in report.findings}


def answered(site, how_many=1, body=ACKED, prefix="ack_"):
    exports = sent(site, how_many)
    for export in exports:
        site.answer(f"{prefix}{export.filename}", body)
    poll(site.connection.pk)
    return exports


def everything(site):
    """Rows and files, to see that nothing was changed."""
    rows = [
        list(model.objects.order_by("pk").values())
        for model in (ERPExport, ERPExportEvent, AckFile, AuditLog)
    ]
    files = {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for folder in (site.inbox, site.acks)
        for path in folder.rglob("*")
        if path.is_file()
    }
    return rows, files


# Nothing to report


def test_a_healthy_dropzone_is_as_recorded(site):
    answered(site, 3)
    answered(site, 1, FAILED, "error_")
    sent(site, 2)
    factories.drafts(site.org, 1)
    (site.inbox / "readme.txt").write_text("not ours")
    before = everything(site)

    report = reconcile(site.connection.pk)

    assert (report.findings, report.errors, report.exit_code) == ([], [], 0)
    assert (report.files, report.answers, report.copies) == (6, 4, 6)
    assert everything(site) == before


def test_an_erp_that_takes_files_away_loses_nothing(site):
    for export in sent(site, 2):
        (site.inbox / export.filename).unlink()

    assert found(site) == set()


def test_folders_that_were_never_needed_are_not_missed(site):
    sent(site)
    assert not (site.acks / "processed").exists()

    assert found(site) == set()


def test_an_order_on_its_way_is_explained(site, at_crashpoint):
    for point in ("staged-committed", "published-before-commit"):
        push_many(factories.ids(factories.drafts(site.org, 1)), actor=None)
        at_crashpoint(point, die)
        with pytest.raises(Killed):
            deliver(site.connection.pk)
        ERPExport.objects.update(next_attempt_at=None)
        assert found(site) == set()
        type(site.connection).objects.update(delivery_lease_token="")


def test_answers_twice_and_under_taken_names_are_explained(site):
    (export,) = answered(site)
    site.answer(f"ack_{export.filename}", ACKED.replace(b"10:01", b"10:02"))
    poll(site.connection.pk)
    site.answer(f"ack_{export.filename}.json", ACKED)
    poll(site.connection.pk)

    assert len(list((site.acks / "processed").iterdir())) == 3
    assert found(site) == set()


def test_an_answer_moved_by_a_poll_that_was_killed_is_explained(site, at_crashpoint):
    (export,) = sent(site)
    site.answer(f"ack_{export.filename}", ACKED)
    at_crashpoint("acks-moved-before-commit", die)
    with pytest.raises(Killed):
        poll(site.connection.pk)

    assert (site.acks / "processed" / f"ack_{export.filename}").exists()
    assert found(site) == set()


def test_bytes_that_wait_for_the_archive_are_safe(site):
    (export,) = sent(site)
    data = (site.inbox / export.filename).read_bytes()
    ERPExport.objects.update(payload=data, archived_at=None)
    storages[archive.ALIAS].delete(export.export_storage_key)

    assert found(site) == set()


# Lost


def test_an_order_taken_and_never_answered_in_time_is_lost(make_site):
    site = make_site(ack_timeout=60)
    taken, waiting, patient = sent(site, 3)
    long_ago = timezone.now() - timedelta(hours=1)
    ERPExport.objects.filter(pk__in=[taken.pk, waiting.pk]).update(sent_at=long_ago)
    for export in (taken, patient):
        (site.inbox / export.filename).unlink()

    assert found(site) == {(FindingKind.LOST, taken.filename, taken.pk)}


@pytest.mark.parametrize("place", ["", "error"])
def test_an_order_whose_answer_lies_somewhere_is_not_lost(make_site, place):
    site = make_site(ack_timeout=60)
    (export,) = sent(site)
    ERPExport.objects.update(sent_at=timezone.now() - timedelta(hours=1))
    (site.inbox / export.filename).unlink()
    (site.acks / place).mkdir(exist_ok=True)
    (site.acks / place / f"ACK_{export.filename}").write_bytes(b"half an ans")

    assert found(site) == set()


def test_an_answer_filed_away_and_never_counted_is_lost(site):
    """As after a restore of the database from an hour ago."""
    (export,) = answered(site)
    AckFile.objects.all().delete()
    ERPExport.objects.update(status=ExportStatus.SENT, answered_at=None, erp_order_id="")

    assert found(site) == {(FindingKind.LOST, f"ack_{export.filename}", export.pk)}


def test_an_order_called_sent_that_was_never_renamed_is_lost(site):
    (export,) = sent(site)
    path = site.inbox / export.filename
    path.rename(export.staged_path)

    assert found(site) == {(FindingKind.LOST, export.staged_path.rsplit("/", 1)[-1], export.pk)}


def test_what_was_sent_elsewhere_is_counted_and_not_looked_for_here(make_site):
    site = make_site(ack_timeout=60)
    sent(site)
    ERPExport.objects.update(
        sent_at=timezone.now() - timedelta(hours=1), staged_destination="sftp://elsewhere:22|/in"
    )
    for path in site.inbox.iterdir():
        path.unlink()

    report = reconcile(site.connection.pk)

    assert (report.elsewhere, report.findings) == (1, [])


# Altered


@pytest.mark.parametrize("change", [lambda data: data + b" ", lambda data: data.replace(b"EUR", b"USD")])
def test_a_changed_order_file_is_altered(site, change):
    _, changed = sent(site, 2)
    path = site.inbox / changed.filename
    path.write_bytes(change(path.read_bytes()))

    assert found(site) == {(FindingKind.ALTERED, changed.filename, changed.pk)}


def test_a_changed_copy_in_the_archive_is_altered(site):
    _, changed = sent(site, 2)
    copy = Path(storages[archive.ALIAS].path(changed.export_storage_key))
    copy.write_bytes(copy.read_bytes() + b" ")

    assert found(site) == {(FindingKind.ALTERED, changed.filename, changed.pk)}


@pytest.mark.parametrize("body", [FAILED, b"x" * 2_000_000])
def test_a_changed_answer_is_altered(site, body):
    _, changed = answered(site, 2)
    (site.acks / "processed" / f"ack_{changed.filename}").write_bytes(body)

    assert found(site) == {(FindingKind.ALTERED, f"ack_{changed.filename}", changed.pk)}


# Orphaned, unexplained, missing


@pytest.mark.parametrize("name", [STRANGER, f"{STRANGER}.1.tmp"])
def test_an_order_file_that_no_export_has_is_orphaned(site, name):
    sent(site)
    (site.inbox / name).write_bytes(b"{}")

    assert found(site) == {(FindingKind.ORPHANED, name, None)}


def test_an_answer_to_an_order_that_no_export_has_is_orphaned(site):
    answered(site)
    (site.acks / "processed" / f"ack_{STRANGER}").write_bytes(ACKED)

    assert found(site) == {(FindingKind.ORPHANED, f"ack_{STRANGER}", None)}


def test_another_orgs_export_explains_nothing_here(site, make_site):
    (theirs,) = sent(make_site())
    (site.inbox / theirs.filename).write_bytes(b"{}")

    assert found(site) == {(FindingKind.ORPHANED, theirs.filename, None)}


def test_a_replaced_connections_export_is_explained(site):
    sent(site)
    site.connection.status = "DISABLED"
    site.connection.save()
    successor = factories.connection(site.org, site.connection.config)

    assert reconcile(successor.pk).findings == []


@pytest.mark.parametrize("failed_as", [FailedAs.NOT_SENT, FailedAs.UNKNOWN])
def test_a_file_that_was_never_sent_is_unexplained(site, failed_as):
    (export,) = sent(site)
    ERPExport.objects.update(status=ExportStatus.FAILED, failed_as=failed_as)

    assert found(site) == {(FindingKind.UNEXPLAINED, export.filename, export.pk)}


def test_a_file_that_is_there_before_it_was_written_is_unexplained(site):
    (export,) = sent(site)
    ERPExport.objects.update(status=ExportStatus.PENDING, staged_at=None, staged_path="")

    assert found(site) == {(FindingKind.UNEXPLAINED, export.filename, export.pk)}


def test_an_answer_that_no_poll_filed_away_is_unexplained(site):
    (export,) = answered(site)
    (site.acks / "processed" / f"error_{export.filename}").write_bytes(FAILED)

    assert found(site) == {(FindingKind.UNEXPLAINED, f"error_{export.filename}", export.pk)}


def test_a_copy_that_is_not_in_the_archive_is_reported(site):
    _, gone = sent(site, 2)
    storages[archive.ALIAS].delete(gone.export_storage_key)

    assert found(site) == {(FindingKind.NO_COPY, gone.filename, gone.pk)}


# What can't be compared


def test_a_dropzone_out_of_reach_is_an_error_and_the_archive_is_compared_all_the_same(site):
    (export,) = sent(site)
    storages[archive.ALIAS].delete(export.export_storage_key)
    site.inbox.rename(site.inbox.with_name("away"))

    report = reconcile(site.connection.pk)

    assert (report.exit_code, [one.kind for one in report.findings]) == (2, [FindingKind.NO_COPY])
    assert "does not exist" in report.errors[0]


def test_an_archive_out_of_reach_is_an_error_and_no_copy_is_called_missing(site, settings, tmp_path):
    sent(site)
    (tmp_path / "a file").write_text("in the way")
    settings.STORAGES = {
        **settings.STORAGES,
        archive.ALIAS: {
            "BACKEND": "erp_connectors.folder_storage.FolderStorage",
            "OPTIONS": {"location": str(tmp_path / "a file" / "exports")},
        },
    }

    report = reconcile(site.connection.pk)

    assert (report.exit_code, report.findings) == (2, [])
    assert "archive can't be read" in report.errors[0]


def test_everything_is_found_across_pages(site, monkeypatch):
    monkeypatch.setattr(batching, "MAX_FILES", 3)
    exports = answered(site, 10)
    for export in exports:
        (site.inbox / export.filename).write_bytes(b"{}")
        (site.acks / "processed" / f"ack_{export.filename}").write_bytes(b"{}")
        storages[archive.ALIAS].delete(export.export_storage_key)

    report = reconcile(site.connection.pk)

    assert report.found == {FindingKind.ALTERED: 20, FindingKind.NO_COPY: 10}


def test_pages_are_bounded_in_bytes():
    sizes = [10, batching.MAX_BYTES, 5, 5, batching.MAX_BYTES - 10, 1]

    assert list(batching.by_size(sizes, lambda size: size)) == [
        [10], [batching.MAX_BYTES], [5, 5, batching.MAX_BYTES - 10], [1]
    ]  # fmt: skip
