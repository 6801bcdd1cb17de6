"""Where ack files go, when, and what lies beside them: whole, unfinished, rewritten, in folders that come and go."""

import os
import re
from datetime import timedelta
from unittest.mock import Mock

import pytest
from django.utils import timezone
from structlog.testing import capture_logs

from erp_connectors.connectors.dropzone_json_v1 import DropzoneJsonV1
from erp_connectors.faults import PERMISSION_DENIED, Fault
from erp_connectors.models import AckFile, ERPExportEvent
from erp_connectors.services.acks.poll import poll
from erp_connectors.states import AckFileStatus, ExportStatus
from tests.services.acks.test_poll import ACKED, FAILED, again, sent
from tests.services.conftest import Killed, die


@pytest.mark.parametrize(
    "begun", [b"", b" \r\n", ACKED[:20], ACKED[:-1], b'{"status": tru', ACKED.decode().encode("utf-16")[:41]]
)
def test_a_file_that_breaks_off_is_given_time(site, settings, begun):
    (export,) = sent(site)
    path = site.answer(f"ack_{export.filename}", begun)

    for _ in range(3):
        assert poll(site.connection.pk).waiting == 1
    settings.ACK_UNFINISHED_SECONDS = 0

    assert poll(site.connection.pk).malformed == 1
    assert (site.acks / "error" / path.name).read_bytes() == begun


def test_the_time_of_an_unfinished_file_starts_anew_with_every_change(site, settings):
    (export,) = sent(site)
    path = site.answer(f"ack_{export.filename}", ACKED[:10])
    poll(site.connection.pk)
    AckFile.objects.update(unchanged_since=timezone.now() - timedelta(hours=1))
    path.write_bytes(ACKED[:20])

    assert poll(site.connection.pk).waiting == 1
    assert poll(site.connection.pk).waiting == 1

    AckFile.objects.update(unchanged_since=timezone.now() - timedelta(hours=1))
    assert poll(site.connection.pk).malformed == 1


def test_beside_a_file_in_error_lies_the_reason(site):
    (export,) = sent(site)
    malformed = site.answer(f"ack_{export.filename}", '{"status": "Größe"}'.encode())
    unmatched = site.answer("ack_sales_order_00000000_20260101_000000_00000000.json", ACKED)
    poll(site.connection.pk)
    poll(site.connection.pk)

    reasons = {path.name: path.read_bytes() for path in (site.acks / "error").glob("*.reason.txt")}

    assert set(reasons) == {f"{malformed.name}.reason.txt", f"{unmatched.name}.reason.txt"}
    first = reasons[f"{malformed.name}.reason.txt"].decode("ascii")
    assert 'Why: "status" is "Gr\\u00f6\\u00dfe". Write "ACKED" or "FAILED".' in first
    assert malformed.name in first.partition("Why:")[2]
    assert '{"status": "ACKED", "erp_order_id": "SO-1"}' in first
    assert "\r\n" in first
    assert "No export of this org has the file name" in reasons[f"{unmatched.name}.reason.txt"].decode()


def reason_of(site, path):
    """Poll until a malformed file is moved. Return the text of its reason."""
    for _ in range(2):
        poll(site.connection.pk)
    return (site.acks / "error" / f"{path.name}.reason.txt").read_text("ascii")


@pytest.mark.parametrize(
    ("prefix", "malformed", "status"),
    [
        ("ack_", b'{"status": "ACKED", "erp_order_id": {}}', ExportStatus.ACKED),
        ("error_", b'{"status": "FAILED", "error_code": {}}', ExportStatus.FAILED),
        ("error_", b'{"status": "ACKED"}', ExportStatus.FAILED),
    ],
)
def test_a_copy_of_the_example_has_the_result_that_the_name_of_the_malformed_file_says(
    site, prefix, malformed, status
):
    (export,) = sent(site)
    reason = reason_of(site, site.answer(f"{prefix}{export.filename}", malformed))
    name, content = re.search(r"has the name (\S+) and the content\s+(\{.*\})\s", reason).groups()

    site.answer(name, content.encode())
    poll(site.connection.pk)

    assert again(export).status == status


@pytest.mark.parametrize(
    ("prefix", "contradicting", "result"), [("ack_", FAILED, "accepts"), ("error_", ACKED, "refuses")]
)
def test_the_example_says_if_it_accepts_or_refuses(site, prefix, contradicting, result):
    (export,) = sent(site)

    reason = reason_of(site, site.answer(f"{prefix}{export.filename}", contradicting))

    assert f"A correct file that {result} the order has the name {prefix}{export.filename} and" in reason


def test_the_reason_of_an_unmatched_file_does_not_recommend_the_name_that_failed(site):
    path = site.answer("ack_other.json", ACKED)

    reason = reason_of(site, path)

    assert AckFile.objects.get().status == AckFileStatus.UNMATCHED
    assert reason.count(path.name) == 1
    assert "correct file" not in reason


@pytest.mark.parametrize(
    "example", [Mock(side_effect=RuntimeError), Mock(return_value=("a name", "content"))]
)
def test_a_connector_that_fails_to_give_an_example_holds_up_no_file(site, monkeypatch, example):
    monkeypatch.setattr(DropzoneJsonV1, "ack_example", example)
    first, second = sent(site, 2)
    path = site.answer(f"ack_{first.filename}", b"{}")
    site.answer(f"ack_{second.filename}", ACKED)

    with capture_logs() as logs:
        reason = reason_of(site, path)

    row = AckFile.objects.get(name=path.name)
    assert (row.status, row.reason.code) == (AckFileStatus.MALFORMED, "ack.status_missing")
    assert row.moved_to == str(site.acks / "error" / path.name)
    assert "correct file" not in reason
    assert again(second).status == ExportStatus.ACKED
    assert [log["ack_file"] for log in logs if log["event"] == "ack.example_failed"] == [row.pk]
    assert poll(site.connection.pk).error == ""


def test_a_reason_explains_its_own_file_where_a_name_was_taken(site):
    name = "ack_sales_order_00000000_20260101_000000_00000000.json"
    site.answer(name, ACKED)
    poll(site.connection.pk)
    (site.acks / "error" / f"{name}.reason.txt").write_bytes(b"the first one's")
    site.answer(name, FAILED)
    for _ in range(2):
        poll(site.connection.pk)

    row = AckFile.objects.latest("pk")
    assert row.moved_to == str(site.acks / "error" / f"{name}.{row.pk}")
    assert (site.acks / "error" / f"{name}.reason.txt").read_bytes() == b"the first one's"
    assert "status" in (site.acks / "error" / f"{name}.{row.pk}.reason.txt").read_text()


def test_a_poll_killed_between_a_file_and_its_reason_writes_the_reason_later(site, at_crashpoint):
    path = site.answer("ack_sales_order_00000000_20260101_000000_00000000.json", ACKED)
    at_crashpoint("acks-moved-before-reasons", die)
    with pytest.raises(Killed):
        poll(site.connection.pk)
    assert (site.acks / "error" / path.name).exists()

    poll(site.connection.pk)

    assert (site.acks / "error" / f"{path.name}.reason.txt").exists()
    assert AckFile.objects.get().moved_to == str(site.acks / "error" / path.name)


def test_a_poll_whose_time_is_over_leaves_the_rest_to_the_next(site, settings):
    settings.ACK_BATCH_SIZE = 3
    exports = sent(site, 8)
    for export in exports:
        site.answer(f"ack_{export.filename}", ACKED)

    reports = [poll(site.connection.pk, seconds=0) for _ in range(4)]

    assert [(report.moved, report.more) for report in reports] == [
        (3, True),
        (3, True),
        (2, True),
        (0, False),
    ]
    assert {again(export).status for export in exports} == {ExportStatus.ACKED}


def test_what_was_read_before_a_file_was_overwritten_is_kept(site, monkeypatch):
    (export,) = sent(site)
    site.answer(f"ack_{export.filename}", ACKED)
    with monkeypatch.context() as patched:
        patched.setattr("erp_connectors.transports.filesystem.FilesystemTransport._move", denied)
        poll(site.connection.pk)
    site.answer(f"ack_{export.filename}", ACKED.replace(b"SO-1", b"SO-0815"))

    poll(site.connection.pk)

    first, second = AckFile.objects.order_by("pk")
    assert (bytes(first.body or b""), first.moved_to) == (ACKED, "")
    assert (second.status, second.moved_to) == (
        AckFileStatus.APPLIED,
        f"{site.acks}/processed/{second.name}",
    )
    assert (again(export).erp_order_id, again(export).conflict_json["erp_order_id"]) == ("SO-0815", "SO-1")


def denied(self, moves):
    return [Fault(PERMISSION_DENIED, path=move.source) for move in moves]


def test_a_taken_name_loses_neither_file(site):
    (export,) = sent(site)
    (site.acks / "processed").mkdir()
    (site.acks / "processed" / f"ack_{export.filename}").write_bytes(b"older")
    site.answer(f"ack_{export.filename}", ACKED)

    poll(site.connection.pk)

    bodies = {path.read_bytes() for path in (site.acks / "processed").iterdir()}
    assert bodies == {b"older", ACKED}


def test_an_ack_folder_that_is_read_only_is_read_to_its_end_once(site, settings, monkeypatch):
    settings.ACK_BATCH_SIZE = 2
    exports = sent(site, 5)
    for export in exports:
        site.answer(f"ack_{export.filename}", ACKED)

    def denied(self, path):
        raise Fault(PERMISSION_DENIED, path=path)

    monkeypatch.setattr("erp_connectors.transports.filesystem.FilesystemTransport._make_folder", denied)
    report = poll(site.connection.pk)

    assert {again(export).status for export in exports} == {ExportStatus.ACKED}
    assert (report.accepted, report.moved) == (5, 0)
    assert "may not" in report.error
    assert poll(site.connection.pk).accepted == 0
    assert ERPExportEvent.objects.filter(what="acked").count() == 5


def test_a_new_answer_after_a_crash_is_not_filed_away_half_written(site, at_crashpoint):
    (export,) = sent(site)
    site.answer(f"ack_{export.filename}", ACKED)
    at_crashpoint("acks-moved-before-commit", die)
    with pytest.raises(Killed):
        poll(site.connection.pk)
    again_ = site.answer(f"ack_{export.filename}", ACKED[:20])

    assert poll(site.connection.pk).waiting == 1
    assert again_.exists()

    again_.write_bytes(ACKED)
    assert poll(site.connection.pk).repeated == 1
    assert len(list((site.acks / "processed").iterdir())) == 2


def test_the_ack_folder_may_be_the_export_folder(make_site):
    site = make_site()
    site.connection.config = {**site.connection.config, "ack_path": str(site.inbox)}
    site.connection.save()
    (export,) = sent(site)
    (site.inbox / "sales_order_x.json.1.tmp").write_bytes(b"being staged")
    (site.inbox / f"ack_{export.filename}").write_bytes(ACKED)

    assert poll(site.connection.pk).accepted == 1

    left = {path.name for path in site.inbox.iterdir()}
    assert left == {export.filename, "sales_order_x.json.1.tmp", "processed"} | (left & {"error"})


def test_folders_that_vanish_and_come_back_lose_nothing(site):
    first, second = sent(site, 2)
    site.answer(f"ack_{first.filename}", ACKED)
    poll(site.connection.pk)
    away = site.acks.rename(site.acks.with_name("away"))
    assert "does not exist" in poll(site.connection.pk).error
    away.rename(site.acks)
    (site.acks / "processed").rename(site.acks / "taken by an admin")
    site.answer(f"ack_{second.filename}", ACKED)

    report = poll(site.connection.pk)

    assert (report.accepted, report.error) == (1, "")
    assert (site.acks / "processed" / f"ack_{second.filename}").exists()
    assert (site.acks / "taken by an admin" / f"ack_{first.filename}").exists()


def test_a_file_that_stays_is_handled_again_only_when_it_changes(site, monkeypatch):
    (export,) = sent(site)
    path = site.answer(f"ack_{export.filename}", FAILED.replace(b"FAILED", b"ACKED"))
    with monkeypatch.context() as patched:
        patched.setattr("erp_connectors.transports.filesystem.FilesystemTransport._move", denied)
        reports = [poll(site.connection.pk) for _ in range(4)]
        assert [(report.malformed, report.waiting) for report in reports] == [(0, 1), (1, 0), (0, 0), (0, 0)]
        assert [bool(report.error) for report in reports] == [False, True, False, False]

        path.write_bytes(ACKED)
        assert poll(site.connection.pk).accepted == 1
        path.unlink()
        poll(site.connection.pk)

    assert not AckFile.objects.present().exists()


@pytest.mark.parametrize(
    "body", [ACKED.replace(b"SO-1", b"SO-2"), ACKED + b"\n", FAILED, ACKED[:30], b"x" * 3_000_000]
)
@pytest.mark.parametrize("killed", [False, True])
def test_what_is_written_anew_between_reading_and_moving_is_read(site, at_crashpoint, settings, body, killed):
    settings.ACK_UNFINISHED_SECONDS = 0
    (export,) = sent(site)
    path = site.answer(f"ack_{export.filename}", ACKED)
    when = path.stat().st_mtime

    def written_anew():
        path.write_bytes(body)
        os.utime(path, (when, when))
        if killed:
            at_crashpoint("acks-moved-before-reasons", die)

    at_crashpoint("acks-decided", written_anew)
    if killed:
        with pytest.raises(Killed):
            poll(site.connection.pk)
    else:
        poll(site.connection.pk)
    for _ in range(4):
        poll(site.connection.pk)

    rows = list(AckFile.objects.order_by("pk"))
    filed = [file for file in site.acks.rglob("ack_*") if not file.name.endswith(".reason.txt")]
    assert [file.read_bytes() for file in filed] == [body]
    assert len(rows) == 2
    assert bytes(rows[0].body or b"") == ACKED
    assert rows[1].moved_to == str(filed[0])
    assert again(export).status == ExportStatus.ACKED
    assert bool(again(export).conflict_json) == (body == ACKED.replace(b"SO-1", b"SO-2"))


def test_a_malformed_file_goes_to_error_at_the_second_look(site):
    (export,) = sent(site)
    path = site.answer(f"ack_{export.filename}", b"{broken}")

    assert poll(site.connection.pk).waiting == 1
    assert path.exists()
    assert poll(site.connection.pk).malformed == 1

    assert (site.acks / "error" / path.name).read_bytes() == b"{broken}"
    assert AckFile.objects.get().reason.code == "ack.not_json"


def test_a_file_that_is_still_being_written_is_left_alone(site):
    (export,) = sent(site)
    for end in (0, 10, 40):
        site.answer(f"ack_{export.filename}", ACKED[:end])
        assert poll(site.connection.pk).waiting == 1
    site.answer(f"ack_{export.filename}", ACKED)

    assert poll(site.connection.pk).accepted == 1
