"""Clumsy ack files on a real dropzone: what becomes of the file, and of the export it answers."""

import os
from pathlib import Path

import pytest

from erp_connectors.models import AckFile
from erp_connectors.services.acks.poll import poll
from erp_connectors.states import AckFileStatus, ExportStatus
from tests.services.acks.test_poll import ACKED, FAILED, again, sent

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

    assert (again(export).status, report.error) == (status, "")
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

    assert (report.malformed, report.error, again(export).status) == (1, "", ExportStatus.SENT)
    assert (site.acks / "error" / path.name).read_bytes() == body
    assert AckFile.objects.get().status == AckFileStatus.MALFORMED


STRANGE = [
    b"ack_new\nline.json", b"ack_..json", b"ack_\".json", b"ack_'; DROP TABLE x.json", b"ack_\xff\xfe.json",
    b"ack_" + b"x" * 246 + b".json", "ack_ä.json".encode(), b"ack_\x1b[31m.json",
]  # fmt: skip


@pytest.mark.parametrize("strange", STRANGE)
def test_a_strange_name_goes_to_error_and_keeps_nobody_waiting(site, strange):
    (export,) = sent(site)
    (site.acks / os.fsdecode(strange)).write_bytes(ACKED + b" ")
    site.answer(f"ack_{export.filename}", ACKED)

    for _ in range(3):
        report = poll(site.connection.pk)

    row = AckFile.objects.get(status=AckFileStatus.UNMATCHED)
    filed = Path(row.moved_to)
    assert (report.error, again(export).status) == ("", ExportStatus.ACKED)
    assert (filed.parent, filed.read_bytes()) == (site.acks / "error", ACKED + b" ")
    assert "No export" in Path(f"{filed}.reason.txt").read_text("ascii")
    assert sorted(path.name for path in site.acks.iterdir()) == ["error", "processed"]


def test_two_strange_names_are_never_taken_for_each_other(site):
    names = {b"ack_\n.json", b"ack_%0A.json", b"ack_\xff.json", b"ack_%FF.json"}
    for number, name in enumerate(names):
        (site.acks / os.fsdecode(name)).write_bytes(ACKED + b" " * number)

    assert poll(site.connection.pk).unmatched == 4

    filed = [Path(moved_to) for moved_to in AckFile.objects.values_list("moved_to", flat=True)]
    assert {len(path.read_bytes()) - len(ACKED) for path in filed} == {0, 1, 2, 3}


def test_what_is_not_named_like_an_ack_stays_where_it_is(site):
    for name in ("ACK_.JSON", "ack_x.json.tmp", "error.txt", "note"):
        site.answer(name, ACKED)

    assert (poll(site.connection.pk).listed, len(list(site.acks.iterdir()))) == (0, 4)


def test_folders_links_and_huge_files_go_to_error_untouched(site, tmp_path):
    exports = sent(site, 3)
    folder, link, huge = (
        site.acks / f"{kind}_{export.filename}"
        for kind, export in zip(("ack", "error", "ack"), exports, strict=True)
    )
    folder.mkdir()
    (folder / "inside").write_bytes(b"kept")
    (tmp_path / "elsewhere").write_bytes(FAILED)
    link.symlink_to(tmp_path / "elsewhere")
    with huge.open("wb") as file:
        file.truncate(5 * 1024**3)

    reports = [poll(site.connection.pk) for _ in range(2)]

    error = site.acks / "error"
    assert [(report.waiting, report.malformed, report.error) for report in reports] == [
        (3, 0, ""),
        (0, 3, ""),
    ]
    assert {again(export).status for export in exports} == {ExportStatus.SENT}
    assert (error / folder.name / "inside").read_bytes() == b"kept"
    assert (error / link.name).readlink() == tmp_path / "elsewhere"
    assert (error / huge.name).stat().st_size == 5 * 1024**3
    for path, reason in ((folder, "not a regular file"), (link, "not a regular file"), (huge, "larger than")):
        told = (error / f"{path.name}.reason.txt").read_text("ascii")
        assert reason in told
        assert str(site.acks) not in told


def test_the_same_files_end_in_the_same_state_in_whatever_case_they_are_named(site):
    (export,) = sent(site)
    site.answer(f"ERROR_{export.filename}", FAILED)
    site.answer(f"ack_{export.filename}", ACKED)

    poll(site.connection.pk)

    export = again(export)
    assert export.status == ExportStatus.ACKED
    assert export.conflict_json["answer"] == "refused"
