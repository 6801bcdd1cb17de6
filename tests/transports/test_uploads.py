"""What counts as an upload that succeeded, on servers that answer in other ways or in another order than most."""

import asyncssh as ssh
import pytest

from erp_connectors.port_types import Upload
from erp_connectors.sftp import wire
from erp_connectors.transports.base import TransportPolicy
from erp_connectors.transports.sftp import SftpTransport
from tests.servers import odd_sftp
from tests.servers.asyncssh_server import Behaviour, asyncssh_server
from tests.servers.hostile_sftp import U32, Attacks, Files, attributes, hostile_server, packet, reply, status

POLICY = TransportPolicy(sftp_loopback=True)


def uploads(count, folder="/in", size=300):
    return [Upload(f"{folder}/{n:03}.tmp", f"{n:03}".encode() * size) for n in range(count)]


def code(outcome):
    return outcome and outcome.code


@pytest.mark.parametrize("kind", ["pkg_sftp", "npm_ssh2", "object_storage"])
@pytest.mark.parametrize("size", [7, 100_000], ids=["small", "large"])
def test_servers_that_run_requests_of_a_handle_side_by_side_get_every_file_whole(tmp_path, kind, size):
    files = Files()
    with (
        hostile_server(getattr(odd_sftp, kind)(), root=tmp_path, files=files) as server,
        SftpTransport(server.options(), POLICY) as transport,
    ):
        wanted = uploads(40, size=size)
        outcomes = transport.stage(wanted)
        remarks = transport.remarks()

    assert [code(outcome) for outcome in outcomes] == [None] * 40
    assert remarks == []
    assert {path: bytes(data) for path, data in files.content.items()} == {u.path: u.data for u in wanted}


REFUSALS = {
    "failure": ssh.SFTPFailure("no"),
    "denied": ssh.SFTPPermissionDenied("no"),
    "unsupported": ssh.SFTPOpUnsupported("no"),
    "no such file": ssh.SFTPNoSuchFile("no"),
    "bad message": ssh.SFTPBadMessage("no"),
}


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root" / "in").mkdir(parents=True)
    return tmp_path / "root"


def staged(root, *operations, error):
    """Code and remarks of a file on a server that refuses these operations."""

    def refuse(operation, path):
        if operation in operations:
            raise error

    with (
        asyncssh_server(root, behaviour=Behaviour(interfere=refuse, look=refuse)) as server,
        SftpTransport(server.options(), POLICY) as transport,
    ):
        (outcome,) = transport.stage([Upload("/in/a.tmp", b"x" * 300, 0o640)])
        return code(outcome), [remark.code for remark in transport.remarks()]


@pytest.mark.parametrize("error", REFUSALS.values(), ids=REFUSALS)
def test_a_server_that_refuses_fstat_gets_its_files(root, error):
    assert staged(root, "fstat", error=error) == (None, [])
    assert (root / "in" / "a.tmp").read_bytes() == b"x" * 300


@pytest.mark.parametrize("error", REFUSALS.values(), ids=REFUSALS)
def test_fsync_that_is_offered_and_refused_is_remarked(root, error):
    result, remarks = staged(root, "fsync", error=error)

    assert result is None
    assert "remark.fsync_refused" in remarks


@pytest.mark.parametrize("error", REFUSALS.values(), ids=REFUSALS)
def test_permission_bits_that_are_refused_are_remarked(root, error):
    result, remarks = staged(root, "mode", error=error)

    assert result is None
    assert "remark.file_mode_not_applied" in remarks


@pytest.mark.parametrize("refused", [("lstat",), ("stat",)])
def test_one_way_to_look_at_a_file_is_enough(root, refused):
    assert staged(root, *refused, error=ssh.SFTPPermissionDenied("no")) == (None, [])


def test_where_nothing_may_be_looked_at_the_close_counts_and_the_size_is_remarked(root):
    result, remarks = staged(root, "lstat", "stat", error=ssh.SFTPPermissionDenied("no"))

    assert result is None
    assert "remark.size_not_confirmed" in remarks


def test_a_file_that_is_not_there_after_its_close_was_not_written(root):
    result, _ = staged(root, "lstat", "stat", error=ssh.SFTPNoSuchFile("no"))

    assert result == "SIZE_MISMATCH"


@pytest.mark.parametrize("operation", ["write", "close"])
@pytest.mark.parametrize("error", REFUSALS.values(), ids=REFUSALS)
def test_a_write_or_close_that_is_refused_fails_the_file(root, operation, error):
    result, _ = staged(root, operation, error=error)

    assert result in {"REMOTE_FAILURE", "PERMISSION_DENIED", "OPERATION_UNSUPPORTED"}


def test_a_missing_folder_is_told_by_the_open_only(root):
    assert staged(root, "open", error=ssh.SFTPNoSuchFile("no"))[0] == "FOLDER_MISSING"


def test_a_truncated_file_is_no_success(tmp_path):
    def short(files, request, body):
        reader = wire.Reader(body)
        path = files.handles[reader.string()]
        at, data = reader.u64(), reader.string()
        files.content[path][at : at + len(data)] = data[:-1]
        return status(request, wire.OK)

    with (
        hostile_server(Attacks(replies={wire.WRITE: short}), root=tmp_path) as server,
        SftpTransport(server.options(), POLICY) as transport,
    ):
        (outcome,) = transport.stage(uploads(1))

    assert code(outcome) == "SIZE_MISMATCH"


def test_a_size_that_the_server_reports_late_is_confirmed_by_a_later_look(tmp_path):
    looks = []

    def late(files, request, body):
        path = wire.Reader(body).string().decode()
        looks.append(path)
        known = len(files.content[path]) if looks.count(path) > 2 else 0
        return reply(wire.ATTRS, request, attributes(known))

    with (
        hostile_server(Attacks(replies={wire.LSTAT: late}), root=tmp_path) as server,
        SftpTransport(server.options(), POLICY) as transport,
    ):
        assert transport.stage(uploads(3)) == [None] * 3


def test_a_batch_costs_four_round_trips_at_most(tmp_path):
    """Each request of a file waits for the reply to the one before, and for nothing else."""
    seen = []

    def recording(kind):
        def record(files, request, body):
            seen.append(kind)

        return record

    kinds = (wire.OPEN, wire.WRITE, wire.EXTENDED, wire.CLOSE, wire.LSTAT, wire.STAT)
    version = packet(wire.VERSION, U32.pack(3) + wire.string(wire.FSYNC) + wire.string("1"))
    attacks = Attacks(replies={kind: recording(kind) for kind in kinds}, version=lambda: version)
    with (
        hostile_server(attacks, root=tmp_path) as server,
        SftpTransport(server.options(), POLICY) as transport,
    ):
        assert transport.stage(uploads(1)) == [None]

    assert seen == [wire.OPEN, wire.WRITE, wire.EXTENDED, wire.CLOSE, wire.LSTAT]
