"""What a server may answer, or not, once an order is on its way: told by its name, and nothing lost or doubled."""

import os
import subprocess
from contextlib import ExitStack, contextmanager
from pathlib import Path

import asyncssh as ssh
import pytest

from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.states import ExportStatus
from tests.faults.conftest import QUICK, assert_told, told
from tests.servers.asyncssh_server import DropConnection
from tests.servers.gate import SILENT, gate

pytestmark = pytest.mark.deep

SLOW = 0.4
WRITES = ("open", "write")


def refusing(error, *operations):
    def interfere(operation, name):
        if operation in operations:
            raise error

    return interfere


def once(wanted, act):
    """Do it at the first operation of that kind."""
    done: list[str] = []

    def interfere(operation, name):
        if operation == wanted and not done:
            done.append(name)
            act()

    return interfere


def lose():
    raise DropConnection


def sent_once(erp, export):
    """The next try finishes what the last one began."""
    erp.waits_no_longer()
    deliver(erp.connection.pk)
    export.refresh_from_db()
    assert export.status == ExportStatus.SENT
    assert erp.published() == [export.filename]
    assert erp.leftovers() == []


@pytest.mark.parametrize("operation", ["write", "rename"])
@pytest.mark.parametrize(
    "pace",
    [SILENT, SLOW],
    ids=["says nothing", "says a byte at a time"],
)
def test_the_server_stops_answering(erp_at, asyncssh, behaviour, operation, pace):
    with gate(asyncssh.port) as peer:
        erp = erp_at(asyncssh, port=peer.port, **QUICK)
        behaviour.interfere = once(operation, lambda: peer.choke(pace))
        probed = erp.probed()
        assert (probed.name, probed.fault.code) == ("export_path", "REMOTE_TIMEOUT")

        peer.open()
        behaviour.interfere = once(operation, lambda: peer.choke(pace))
        export = erp.delivered()
        told(export.error_json, "REMOTE_TIMEOUT")
        assert export.status == ExportStatus.PENDING

        peer.open()
        for left in (erp.server.root / "in").glob("test_connection*"):
            left.unlink()
        sent_once(erp, export)


@pytest.mark.parametrize(
    ("moment", "operation"), [("interfere", "write"), ("interfere", "rename"), ("after", "rename")]
)
@pytest.mark.parametrize("erp_takes_it", [False, True])
def test_the_link_is_lost(erp_at, asyncssh, behaviour, moment, operation, erp_takes_it):
    """In the middle of writing, before the rename, and after it with the reply lost."""
    erp = erp_at(asyncssh)
    setattr(behaviour, moment, once(operation, lose))

    export = erp.delivered()

    told(export.error_json, "CONNECTION_LOST")
    assert export.status == ExportStatus.PENDING
    there = erp.published()
    assert there == ([export.filename] if moment == "after" else [])
    if there and erp_takes_it:
        taken = erp.server.root / "in" / export.filename
        body = taken.read_bytes()
        taken.unlink()
        erp.waits_no_longer()
        deliver(erp.connection.pk)
        assert erp.published() == []
        taken.write_bytes(body)
    sent_once(erp, export)


def test_a_folder_that_is_moved_away_for_a_moment_publishes_nothing(erp_at, asyncssh, behaviour):
    """In the moment of the rename: its file is "not there", and then the folder is there again."""
    erp = erp_at(asyncssh)
    folder, away = erp.server.root / "in", erp.server.root / "away"

    def leave(operation, name):
        if operation == "rename":
            folder.rename(away)

    def come_back(operation, name):
        if away.exists():
            away.rename(folder)

    behaviour.interfere, behaviour.look = leave, come_back

    export = erp.delivered()

    told(export.error_json, "FOLDER_UNSTABLE")
    assert export.status == ExportStatus.PENDING
    behaviour.interfere = None
    sent_once(erp, export)


@pytest.mark.parametrize(
    ("folder", "step", "code"),
    [("in", "export_path", "FOLDER_MISSING"), ("ack", "ack_path", "FOLDER_MISSING")],
)
def test_a_folder_is_missing(erp_at, openssh, folder, step, code):
    erp = erp_at(openssh())
    (erp.server.root / folder).rmdir()

    if folder == "in":
        assert_told(erp, code, step=step)
    else:
        probed = erp.probed()
        assert (probed.name, probed.fault.code) == (step, code)
        assert probed.fault.path.endswith("/ack")
        assert erp.delivered().status == ExportStatus.SENT


def test_the_user_may_not_write(erp_at, openssh):
    assert_told(erp_at(openssh(sftp_options="-R")), "PERMISSION_DENIED", step="export_path")


def test_the_user_may_not_rename(erp_at, openssh):
    erp = erp_at(openssh(sftp_options="-P posix-rename,rename"))

    assert_told(erp, "PERMISSION_DENIED", step="export_path")

    assert erp.published() == []


def test_the_server_refuses_posix_rename(erp_at, openssh):
    erp = erp_at(openssh(sftp_options="-P posix-rename"))

    export = erp.delivered()

    assert export.status == ExportStatus.SENT
    assert erp.published() == [export.filename]


def test_the_server_offers_posix_rename_and_does_not_know_it(erp_at, asyncssh, behaviour):
    behaviour.posix_rename = False
    erp = erp_at(asyncssh)

    export = erp.delivered()

    assert export.status == ExportStatus.SENT
    assert erp.published() == [export.filename]


def test_a_plain_rename_meets_a_name_that_exists(erp_at, openssh):
    erp = erp_at(openssh(sftp_options="-P posix-rename"))
    export = erp.push()
    foreign = erp.server.root / "in" / export.filename
    foreign.write_bytes(b"somebody else's")

    deliver(erp.connection.pk)

    export.refresh_from_db()
    told(export.error_json, "NAME_TAKEN")
    assert export.status == ExportStatus.FAILED
    assert foreign.read_bytes() == b"somebody else's"
    erp.connection.refresh_from_db()
    assert not erp.connection.circuit_open


def test_the_server_can_not_rename(erp_at, asyncssh, behaviour):
    behaviour.interfere = refusing(ssh.SFTPOpUnsupported("no rename"), "rename")
    erp = erp_at(asyncssh)

    assert_told(erp, "RENAME_UNSUPPORTED", step="export_path")

    assert erp.published() == []


def test_a_server_that_can_not_rename_is_served_without_it(erp_at, asyncssh, behaviour):
    behaviour.interfere = refusing(ssh.SFTPOpUnsupported("no rename"), "rename")
    erp = erp_at(asyncssh, atomic_write=False, ack_path=None)

    assert erp.probed().ok
    export = erp.delivered()

    assert export.status == ExportStatus.SENT
    assert erp.published() == [export.filename]


@pytest.mark.parametrize("operations", [WRITES, ("rename",)], ids=["write", "rename"])
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ssh.SFTPFailure("No space left on device"), "DISK_FULL"),
        (ssh.SFTPFailure("Disk quota exceeded"), "DISK_FULL"),
        (ssh.SFTPFailure("Failure"), "REMOTE_FAILURE"),
        (ssh.SFTPPermissionDenied("no"), "PERMISSION_DENIED"),
    ],
    ids=lambda value: getattr(value, "reason", value),
)
def test_what_the_server_says_is_what_the_operator_reads(
    erp_at, asyncssh, behaviour, operations, error, code
):
    behaviour.interfere = refusing(error, *operations)
    erp = erp_at(asyncssh)

    message = assert_told(erp, code, step="export_path")

    assert code == "PERMISSION_DENIED" or error.reason in message
    assert erp.published() == []
    behaviour.interfere = None


@contextmanager
def small_disk(folder: Path):
    """A file system of 64 KiB in that place."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)], capture_output=True, check=False
    )
    try:
        yield mounted.returncode == 0
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def test_the_disk_is_full(erp_at, openssh, tmp_path):
    server = openssh()
    (server.root / "in").mkdir()
    with ExitStack() as stack:
        if not stack.enter_context(small_disk(server.root / "in")):
            pytest.skip(
                "mounting a small file system is not allowed here; what servers say of one is tested above"
            )
        erp = erp_at(server)
        (server.root / "in" / "blob").write_bytes(os.urandom(65536))

        assert "bytes are free" in assert_told(erp, "DISK_FULL", step="export_path")
        assert erp.published() == erp.leftovers() == []
        export = erp.connection.exports.get()

        (server.root / "in" / "blob").unlink()
        sent_once(erp, export)


class TestFileMode:
    def test_refused_bits_do_not_stop_an_order_and_are_told(self, erp_at, openssh):
        erp = erp_at(openssh(sftp_options="-P fsetstat"), file_mode="0640", ack_path=None)

        probed = erp.probed()
        export = erp.delivered()

        assert probed.ok
        assert "remark.file_mode" in str(probed.found.as_json())
        assert export.status == ExportStatus.SENT
        assert export.events.get(what="staged").message.code.startswith("remark.file_mode")

    def test_a_server_that_does_not_know_them(self, erp_at, asyncssh, behaviour):
        behaviour.interfere = refusing(ssh.SFTPOpUnsupported("no"), "mode")
        erp = erp_at(asyncssh, file_mode="0640", ack_path=None)

        assert "remark.file_mode" in str(erp.probed().found.as_json())
        assert erp.delivered().status == ExportStatus.SENT

    def test_bits_that_were_set_are_no_news(self, erp_at, openssh):
        erp = erp_at(openssh(), file_mode="0640", ack_path=None)

        probed = erp.probed()
        export = erp.delivered()

        assert "remark.file_mode" not in str(probed.found.as_json())
        assert export.events.get(what="staged").message is None
        assert (erp.server.root / "in" / export.filename).stat().st_mode & 0o777 == 0o640
