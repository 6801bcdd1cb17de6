"""ERPs that write answers in the clumsiest way: nothing is read by halves, nothing given up early, nothing left."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from erp_connectors.faults import PERMISSION_DENIED, Fault
from erp_connectors.models import AckFile, ERPConnection, ERPExport
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.acks.poll_report import PollReport
from erp_connectors.states import AckFileStatus, ExportStatus
from erp_connectors.transports.filesystem import FilesystemTransport
from tests import factories
from tests.servers.openssh import openssh_server
from tests.services.acks.test_poll import ACKED, again, sent
from tests.services.conftest import Site

Writer = Callable[[Path], Iterator[None]]


@pytest.fixture(params=["filesystem", "openssh"])
def site(request: pytest.FixtureRequest, db: None, tmp_path: Path, settings: object) -> Iterator[Site]:
    """Each pause of a writer is a poll over this."""
    settings.DROPZONE_ROOTS = [str(tmp_path)]  # type: ignore[attr-defined]
    root, own = tmp_path / "dropzone", tmp_path / "sshd"
    own.mkdir()
    for name in ("in", "ack"):
        (root / name).mkdir(parents=True)
    org = factories.org()
    if request.param == "filesystem":
        config = {"mode": "filesystem", "export_path": str(root / "in"), "ack_path": str(root / "ack")}
        yield Site(org, factories.connection(org, config), root / "in", root / "ack")
        return
    with openssh_server(root, own) as server:
        config = server.config(export_path=server.path("in"), ack_path=server.path("ack"))
        yield Site(org, factories.connection(org, config), root / "in", root / "ack")


def empty_first(path: Path) -> Iterator[None]:
    path.touch()
    yield
    yield
    path.write_bytes(ACKED)


def byte_by_byte(path: Path) -> Iterator[None]:
    with path.open("wb", buffering=0) as file:
        for at in range(0, len(ACKED), 7):
            file.write(ACKED[at : at + 7])
            yield


def reserved_and_filled(path: Path) -> Iterator[None]:
    """A file of its final size, full of NULs, then written from the front."""
    path.write_bytes(b"\0" * len(ACKED))
    yield
    with path.open("r+b", buffering=0) as file:
        for at in range(0, len(ACKED), 30):
            file.write(ACKED[at : at + 30])
            yield


def renamed(path: Path) -> Iterator[None]:
    beside = path.with_name(f"{path.name}.tmp")
    for end in (0, 20, None):
        beside.write_bytes(ACKED[:end])
        yield
    beside.rename(path)


def rewritten(path: Path) -> Iterator[None]:
    """What was broken is corrected under the same name, in the same second and size."""
    path.write_bytes(ACKED.replace(b"}", b","))
    when = path.stat().st_mtime
    yield
    path.write_bytes(ACKED)
    os.utime(path, (when, when))


def deleted_and_written_again(path: Path) -> Iterator[None]:
    path.write_bytes(b"{")
    yield
    path.unlink()
    yield
    path.write_bytes(ACKED)


WRITERS = [empty_first, byte_by_byte, reserved_and_filled, renamed, rewritten, deleted_and_written_again]


@pytest.mark.parametrize("writer", WRITERS)
def test_a_clumsy_writers_answer_is_applied_once_it_is_whole(site: Site, writer: Writer) -> None:
    (export,) = sent(site)
    path = site.acks / f"ack_{export.filename}"

    for _ in writer(path):
        report = _poll(site)
        whole = path.exists() and path.read_bytes().endswith(b"}")
        assert (report.malformed, report.unmatched) == (0, 0)
        assert report.accepted == 0 or not path.exists() or whole
    for _ in range(2):
        _poll(site)

    assert (again(export).status, again(export).erp_order_id) == (ExportStatus.ACKED, "SO-1")
    assert [file.read_bytes() for file in site.acks.rglob("ack_*")] == [ACKED]
    assert not AckFile.objects.present().exists()


def test_a_file_that_is_readable_only_later_waits_for_that(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    (export,) = sent(site)
    path = site.answer(f"ack_{export.filename}", ACKED)
    with monkeypatch.context() as patched:
        _deny_reading(patched)
        errors = [_poll(site).error for _ in range(4)]

    assert all("may not" in problem for problem in errors)
    assert (AckFile.objects.get().status, path.exists()) == (AckFileStatus.WAITING, True)
    assert _poll(site).accepted == 1
    assert ERPConnection.objects.get().poll_error is None
    assert ERPExport.objects.get().status == ExportStatus.ACKED


def _deny_reading(patched: pytest.MonkeyPatch) -> None:
    # Whoever runs the suite may be root, to whom nothing is denied.
    def denied(self: object, paths: list[str], *, max_bytes: int) -> list[Fault]:
        return [Fault(PERMISSION_DENIED, path=path) for path in paths]

    for transport in (FilesystemTransport, "erp_connectors.transports.sftp.SftpTransport"):
        name = transport if isinstance(transport, str) else f"{transport.__module__}.{transport.__name__}"
        patched.setattr(f"{name}._read", denied)


def _poll(site: Site) -> PollReport:
    return poll(site.connection.pk)
