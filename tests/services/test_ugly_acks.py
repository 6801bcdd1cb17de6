"""Clumsy ack files on a real dropzone: what becomes of the file, and of the export it answers."""

import os

import pytest

from erp_connectors.models import AckFile
from erp_connectors.services.acks import poll
from erp_connectors.states import AckFileStatus, ExportStatus
from tests.services.test_acks import ACKED, FAILED, again, sent

TEXT = ACKED.decode()


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("ack_{}", b"\xef\xbb\xbf" + ACKED + b"\r\n\0\0", ExportStatus.ACKED),
        ("ack_{}.json", TEXT.encode("utf-16"), ExportStatus.ACKED),
        ("ACK_{}", TEXT.encode("utf-16-le"), ExportStatus.ACKED),
        (
            "error_{}",
            '{"STATUS": "failed ", "message": "Größe ungültig"}'.encode("latin-1"),
            ExportStatus.FAILED,
        ),
        ("error_{}", b'{"status": "FAILED", "message": "nul \\u0000, half \\ud83d"}', ExportStatus.FAILED),
        ("ack_{}", b'{"status": "ACKED", "erp_order_id": 4711}', ExportStatus.ACKED),
    ],
)
def test_what_is_clear_is_applied(site, name, body, status):
    (export,) = sent(site)
    path = site.answer(name.format(export.filename), body)

    report = poll(site.connection.pk)

    assert (again(export).status, report.trouble) == (status, "")
    assert (site.acks / "processed" / path.name).read_bytes() == body


def test_a_name_in_capitals_is_matched(site):
    (export,) = sent(site)
    site.answer(f"ACK_{export.filename}.JSON".upper(), ACKED)

    assert poll(site.connection.pk).accepted == 1


@pytest.mark.parametrize(
    "body",
    [
        b'{"status": "ACKED", "erp_order_id": "' + b"9" * 300 + b'"}',
        b'{"status": "ACKED", "erp_order_id": "SO-\\ud800"}',
        b'{"status": "\\u0000\\ud800"}',
        b'{"status": "ACKED", "erp_order_id": "1", "erp_order_id": "2"}',
        b"[" * 1_000_000,
        FAILED,
    ],
)
def test_what_is_not_clear_goes_to_error_and_changes_nothing(site, body):
    (export,) = sent(site)
    path = site.answer(f"ack_{export.filename}", body)
    poll(site.connection.pk)

    report = poll(site.connection.pk)

    assert (report.malformed, report.trouble, again(export).status) == (1, "", ExportStatus.SENT)
    assert (site.acks / "error" / path.name).read_bytes() == body
    assert AckFile.objects.get().status == AckFileStatus.MALFORMED


STRANGE = [
    b"ack_new\nline.json", b"ack_..json", b"ack_\".json", b"ack_'; DROP TABLE x.json", b"ack_\xff\xfe.json",
    b"ack_" + b"x" * 246 + b".json", "ack_ä.json".encode(), b"ack_\x1b[31m.json", b"ACK_.JSON",
]  # fmt: skip


@pytest.mark.parametrize("strange", STRANGE)
def test_a_strange_name_keeps_nobody_else_waiting(site, strange):
    (export,) = sent(site)
    (site.acks / os.fsdecode(strange)).write_bytes(ACKED)
    site.answer(f"ack_{export.filename}", ACKED)

    for _ in range(3):
        report = poll(site.connection.pk)

    assert (report.trouble, again(export).status) == ("", ExportStatus.ACKED)
    kept = {name for _, _, names in os.walk(os.fsencode(site.acks)) for name in names}
    assert strange in kept


def test_folders_and_links_are_no_acks(site, tmp_path):
    (export,) = sent(site)
    (site.acks / f"ack_{export.filename}").mkdir()
    (tmp_path / "elsewhere").write_bytes(FAILED)
    (site.acks / f"error_{export.filename}").symlink_to(tmp_path / "elsewhere")

    report = poll(site.connection.pk)

    assert (report.listed, report.trouble, again(export).status) == (0, "", ExportStatus.SENT)


def test_the_same_files_end_in_the_same_state_in_whatever_case_they_are_named(site):
    (export,) = sent(site)
    site.answer(f"ERROR_{export.filename}", FAILED)
    site.answer(f"ack_{export.filename}", ACKED)

    poll(site.connection.pk)

    export = again(export)
    assert export.status == ExportStatus.ACKED
    assert export.conflict_json["answer"] == "refused"
