"""Folders that are read-only, missing, taken or shared: every answer counts once, and every file is kept."""

from collections import Counter
from pathlib import Path

from erp_connectors.models import AckFile, ERPExportEvent
from erp_connectors.services.acks.poll import poll, poll_now
from erp_connectors.states import ExportStatus
from tests.servers.openssh import openssh_server
from tests.services.acks.test_poll import ACKED, FAILED, again, sent


def bodies(folder: Path) -> Counter[bytes]:
    return Counter(path.read_bytes() for path in folder.rglob("*") if path.name.lower().startswith("ack_"))


def test_a_server_that_is_read_only_is_read_once_and_then_quietly(site, tmp_path):
    first, second = sent(site, 2)
    own = tmp_path / "sshd"
    own.mkdir()
    with openssh_server(tmp_path, own, sftp_options="-R") as server:
        site.connection.config = server.config(export_path=str(site.inbox), ack_path=str(site.acks))
        site.connection.save()
        site.answer(f"ack_{first.filename}", ACKED)
        broken = site.answer(f"ack_{second.filename}", b'{"status": "OK"}')
        reports = [poll(site.connection.pk) for _ in range(5)]
        broken.write_bytes(ACKED)
        corrected, idle = poll(site.connection.pk), poll(site.connection.pk)

    assert [(one.accepted, one.malformed) for one in reports] == [(1, 0), (0, 1), (0, 0), (0, 0), (0, 0)]
    assert "may not" in reports[0].error
    assert [one.error for one in (*reports[2:], idle)] == [""] * 4
    assert (corrected.accepted, idle.accepted) == (1, 0)
    assert {again(export).status for export in (first, second)} == {ExportStatus.ACKED}
    assert ERPExportEvent.objects.filter(what="acked").count() == 2
    assert bodies(site.acks) == Counter([ACKED, ACKED])


def test_folders_are_made_only_when_a_file_needs_them(site):
    poll(site.connection.pk)
    assert list(site.acks.iterdir()) == []

    (export,) = sent(site)
    site.answer(f"ack_{export.filename}", ACKED)
    poll(site.connection.pk)

    assert (site.acks / "processed" / f"ack_{export.filename}").read_bytes() == ACKED


def test_one_name_again_and_again_keeps_every_file(site):
    (export,) = sent(site)
    unmatched = "ack_sales_order_00000000_20260101_000000_00000000.json"
    written = [ACKED.replace(b"10:01", b"10:0%d" % n) for n in range(1, 5)]
    for body in written:
        site.answer(f"ack_{export.filename}", body)
        site.answer(unmatched, body)
        poll(site.connection.pk)

    assert bodies(site.acks / "processed") == Counter(written)
    kept = [path for path in (site.acks / "error").iterdir() if not path.name.endswith(".reason.txt")]
    assert Counter(path.read_bytes() for path in kept) == Counter(written)
    assert all(path.with_name(f"{path.name}.reason.txt").exists() for path in kept)


def test_a_file_that_is_named_processed_stops_no_answer(site):
    (export,) = sent(site)
    (site.acks / "processed").write_bytes(b"a file, not a folder")
    path = site.answer(f"ack_{export.filename}", ACKED)

    reports = [poll(site.connection.pk) for _ in range(3)]

    assert [report.accepted for report in reports] == [1, 0, 0]
    assert reports[0].error
    assert again(export).status == ExportStatus.ACKED
    assert path.read_bytes() == ACKED
    assert (site.acks / "processed").read_bytes() == b"a file, not a folder"

    (site.acks / "processed").unlink()
    poll_now(site.connection.pk)
    assert bodies(site.acks / "processed") == Counter([ACKED])


def test_a_folder_that_vanishes_between_deciding_and_moving_loses_nothing(site, at_crashpoint):
    (export,) = sent(site)
    away = site.acks.with_name("away")
    site.answer(f"ack_{export.filename}", ACKED)
    at_crashpoint("acks-decided", lambda: site.acks.rename(away) and None)
    assert poll(site.connection.pk).error
    poll(site.connection.pk)
    away.rename(site.acks)

    for _ in range(2):
        poll_now(site.connection.pk)

    assert (again(export).status, again(export).conflict_json) == (ExportStatus.ACKED, None)
    assert ERPExportEvent.objects.filter(what="acked").count() == 1
    assert bodies(site.acks / "processed") == Counter([ACKED])
    assert not AckFile.objects.present().exists()


def test_exports_in_the_ack_folder_are_left_alone(site):
    site.connection.config = {**site.connection.config, "ack_path": str(site.inbox)}
    site.connection.save()
    exports = sent(site, 3)
    (site.inbox / "ack_half.json.1.tmp").write_bytes(b"being staged")
    before = site.published()
    (site.inbox / f"error_{exports[0].filename}").write_bytes(FAILED)

    reports = [poll(site.connection.pk) for _ in range(3)]

    assert [(one.listed, one.refused) for one in reports] == [(1, 1), (0, 0), (0, 0)]
    assert site.published() == before
    assert site.leftovers() == ["ack_half.json.1.tmp"]
    assert again(exports[0]).status == ExportStatus.FAILED
