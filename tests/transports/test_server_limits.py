"""Servers that allow fewer open files or channels than others, or that mix files up: met, worked around, remembered."""

import threading

import pytest

from erp_connectors.port_types import Upload
from erp_connectors.sftp import channels, wire
from erp_connectors.sftp.limits import ServerLimits
from erp_connectors.transports.base import TransportPolicy
from erp_connectors.transports.sftp import SftpTransport
from tests.servers.hostile_sftp import Attacks, Files, Opening, hostile_server, status
from tests.servers.odd_sftp import Limit, StrictFiles, erlang, few_files

POLICY = TransportPolicy(sftp_loopback=True)
REFUSALS = {"failure": wire.FAILURE, "denied": wire.PERMISSION_DENIED, "unknown": 77}
refusals = pytest.mark.parametrize("code", REFUSALS.values(), ids=REFUSALS)


def uploads(count):
    return [Upload(f"/in/{n:03}.tmp", f"{n:03}".encode() * 100) for n in range(count)]


def codes(outcomes):
    return [outcome and outcome.code for outcome in outcomes]


def files_in(folder, count):
    return Files(content={f"{folder}/{n:03}": bytearray(b"%03d" % n) for n in range(count)})


def read_all(transport, folder, count):
    return transport.read([f"{folder}/{n:03}" for n in range(count)], max_bytes=100)


class TestFewOpenFiles:
    @pytest.mark.parametrize(
        ("most", "each_channel", "code"),
        [
            *((10, False, code) for code in REFUSALS.values()),
            (1, False, wire.FAILURE),
            (16, False, wire.PERMISSION_DENIED),
            (100, False, 77),
            (10, True, wire.FAILURE),
            (100, True, wire.PERMISSION_DENIED),
        ],
    )
    def test_a_batch_goes_out_with_fewer_at_once(self, tmp_path, most, each_channel, code):
        count = 200 if most == 100 else 70
        files, limit = Files(), Limit(most, code)
        with (
            hostile_server(few_files(limit, each_channel=each_channel), root=tmp_path, files=files) as server,
            SftpTransport(server.options(), POLICY) as transport,
        ):
            assert codes(transport.stage(uploads(count))) == [None] * count
            learned = transport.limits()
            refused = limit.refused
            assert codes(transport.stage(uploads(count))) == [None] * count

        assert {path: bytes(data) for path, data in files.content.items()} == {
            u.path: u.data for u in uploads(count)
        }
        if not (each_channel and most == 100):
            assert learned.files_open is not None
            assert learned.files_open <= most
            assert limit.refused == refused

    @refusals
    def test_what_is_remembered_is_respected_from_the_start(self, tmp_path, code):
        limit = Limit(10, code)
        with hostile_server(few_files(limit), root=tmp_path) as server:
            transport = SftpTransport(server.options(), POLICY)
            transport.respect(ServerLimits(files_open=10))
            with transport:
                assert codes(transport.stage(uploads(100))) == [None] * 100

        assert (limit.seen, limit.refused) == (10, 0)

    @pytest.mark.parametrize(
        ("most", "code"),
        [(1, wire.FAILURE), *((10, code) for code in REFUSALS.values()), (100, wire.FAILURE)],
    )
    def test_answers_are_read_with_fewer_at_once(self, tmp_path, most, code):
        limit = Limit(most, code)
        with (
            hostile_server(few_files(limit), root=tmp_path, files=files_in("/ack", 110)) as server,
            SftpTransport(server.options(), POLICY) as transport,
        ):
            contents = read_all(transport, "/ack", 110)

        assert contents == [b"%03d" % n for n in range(110)]

    @pytest.mark.parametrize("known", [None, 1])
    def test_an_open_folder_that_counts_leaves_room_for_the_files_in_it(self, tmp_path, known):
        limit = Limit(1, count_folders=True)
        with hostile_server(few_files(limit), root=tmp_path, files=files_in("/ack", 20)) as server:
            transport = SftpTransport(server.options(), POLICY)
            transport.respect(ServerLimits(files_open=known))
            with transport:
                listing = transport.list("/ack")
                first = next(listing)
                contents = transport.read([f"/ack/{first.name}"], max_bytes=100)
                assert len(list(listing)) == 19

        assert contents == [first.name.encode()]

    def test_files_that_may_not_be_opened_are_no_limit(self, tmp_path):
        def deny_odd(files, request, body):
            path = wire.Reader(body).string()
            return status(request, wire.PERMISSION_DENIED) if int(path[-1:]) % 2 else None

        attacks = Attacks(replies={wire.OPEN: deny_odd}, files_of=lambda files: StrictFiles(shared=files))
        with (
            hostile_server(attacks, root=tmp_path, files=files_in("/ack", 60)) as server,
            SftpTransport(server.options(), POLICY) as transport,
        ):
            contents = read_all(transport, "/ack", 60)

        assert contents[0::2] == [b"%03d" % n for n in range(0, 60, 2)]
        assert codes(contents[1::2]) == ["PERMISSION_DENIED"] * 30
        assert transport.limits() == ServerLimits()

    def test_a_folder_without_permission_costs_one_request_for_each_file(self, tmp_path):
        limit = Limit(0, wire.PERMISSION_DENIED)
        with (
            hostile_server(few_files(limit), root=tmp_path) as server,
            SftpTransport(server.options(), POLICY) as transport,
        ):
            assert codes(transport.stage(uploads(200))) == ["PERMISSION_DENIED"] * 200
            assert transport.limits() == ServerLimits()

        assert limit.refused == 200

    def test_what_another_session_uses_up_is_waited_for(self, tmp_path, monkeypatch):
        monkeypatch.setattr(channels, "PAUSES", (0.1,) * 20)
        limit = Limit(4, now=4)
        with hostile_server(few_files(limit), root=tmp_path) as server:
            transport = SftpTransport(server.options(), POLICY)
            transport.respect(ServerLimits(files_open=4))

            def end_other_session():
                limit.now = 0

            later = threading.Timer(0.5, end_other_session)
            later.start()
            with transport:
                assert codes(transport.stage(uploads(20))) == [None] * 20
            later.join()
            assert transport.limits() == ServerLimits(files_open=4)


class TestReusedHandles:
    def test_no_file_gets_the_bytes_of_another(self, tmp_path):
        files = Files()
        channels_: list[StrictFiles] = []
        with (
            hostile_server(erlang(channels_), root=tmp_path, files=files) as server,
            SftpTransport(server.options(), POLICY) as transport,
        ):
            assert codes(transport.stage(uploads(70))) == [None] * 70
            assert transport.limits().reuses_handles
            met = len(channels_)
            assert codes(transport.stage(uploads(70))) == [None] * 70
            assert len(channels_) == met
            assert channels_[-1].most_open == 1

        assert {path: bytes(data) for path, data in files.content.items()} == {
            u.path: u.data for u in uploads(70)
        }

    def test_while_requests_are_under_way_no_file_is_written_again_under_its_name(self, tmp_path):
        channels_: list[StrictFiles] = []
        attacks = erlang(channels_)
        opens = []

        def silent_from_the_sixth_on(files, request, body):
            opens.append(request)
            return b"" if len(opens) >= 6 else None

        attacks.replies[wire.OPEN] = silent_from_the_sixth_on
        with (
            hostile_server(attacks, root=tmp_path) as server,
            SftpTransport(server.options(io_timeout=1), POLICY) as transport,
        ):
            assert codes(transport.stage(uploads(20))) == ["CONNECTION_LOST"] * 20
            assert transport.limits().reuses_handles
            attacks.replies.clear()
            met = len(channels_)
            transport.close()
            transport.open()
            assert codes(transport.stage(uploads(20))) == [None] * 20
            assert len(channels_) == met + 1
            assert channels_[-1].most_open == 1

    def test_no_answer_is_read_as_that_of_another(self, tmp_path):
        with (
            hostile_server(erlang([]), root=tmp_path, files=files_in("/ack", 100)) as server,
            SftpTransport(server.options(), POLICY) as transport,
        ):
            contents = read_all(transport, "/ack", 100)
            assert transport.limits().reuses_handles

        assert contents == [b"%03d" % n for n in range(100)]

    def test_what_is_remembered_is_respected_from_the_start(self, tmp_path):
        channels_: list[StrictFiles] = []
        with hostile_server(erlang(channels_), root=tmp_path, files=files_in("/ack", 30)) as server:
            transport = SftpTransport(server.options(), POLICY)
            transport.respect(ServerLimits(reuses_handles=True))
            with transport:
                assert codes(transport.stage(uploads(100))) == [None] * 100
                names = [entry.name for entry in transport.list("/ack")]
                assert len(read_all(transport, "/ack", 30)) == len(names) == 30

        assert [channel.most_open for channel in channels_] == [1]


def second(opening, asked=None):
    """Channels beyond the first get only so far; ``asked`` gets the number of each channel request."""

    def of(number):
        if asked is not None:
            asked.append(number)
        return opening if number > 1 else Opening.WHOLE

    return Attacks(
        opening=of,
        files_of=lambda files: StrictFiles(shared=files),
    )


class TestSecondChannel:
    OPENINGS = (
        Opening.REFUSED,
        Opening.ENDS_ALL,
        Opening.UNANSWERED,
        Opening.NO_SFTP,
        Opening.NO_GREETING,
    )

    @pytest.mark.parametrize("opening", OPENINGS, ids=lambda opening: opening.name)
    @pytest.mark.parametrize("expected", [True, False], ids=["expected", "not expected"])
    def test_the_batch_goes_out_over_one_channel_from_then_on(self, tmp_path, opening, expected):
        files = Files()
        server_asked: list[int] = []
        with hostile_server(second(opening, server_asked), root=tmp_path, files=files) as server:
            transport = SftpTransport(server.options(connect_timeout=1, io_timeout=5), POLICY)
            if expected:
                transport.expect(150)
            with transport:
                assert codes(transport.stage(uploads(150))) == [None] * 150
                assert transport.limits() == ServerLimits(channels=1)
                asked = len(server_asked)
                assert codes(transport.stage(uploads(150))) == [None] * 150
                assert len(server_asked) == asked

        assert len(files.content) == 150

    def test_a_kept_session_that_ends_for_it_is_replaced(self, tmp_path):
        with hostile_server(second(Opening.ENDS_ALL), root=tmp_path) as server:
            transport = SftpTransport(server.options(), POLICY)
            with transport:
                assert transport.stage(uploads(1)) == [None]
                assert transport.resume()
                transport.expect(150)
                transport.open()
                assert transport.exists(["/in/000.tmp"]) == [True]
                assert codes(transport.stage(uploads(150))) == [None] * 150
                assert transport.limits() == ServerLimits(channels=1)

    def test_what_is_remembered_is_respected_from_the_start(self, tmp_path):
        asked = []

        def opening(number):
            asked.append(number)
            return Opening.WHOLE

        with hostile_server(Attacks(opening=opening), root=tmp_path) as server:
            transport = SftpTransport(server.options(), POLICY)
            transport.respect(ServerLimits(channels=1))
            transport.expect(200)
            with transport:
                assert codes(transport.stage(uploads(200))) == [None] * 200

        assert set(asked) == {1}

    def test_a_channel_that_falls_silent_ends_alone_and_is_not_opened_again(self, tmp_path):
        with (
            hostile_server(second(Opening.NO_REPLIES), root=tmp_path) as server,
            SftpTransport(server.options(io_timeout=1), POLICY) as transport,
        ):
            assert codes(transport.stage(uploads(64))) == [None, "REMOTE_TIMEOUT"] * 32
            assert transport.limits() == ServerLimits(channels=1)
            assert codes(transport.stage(uploads(64))) == [None] * 64

    def test_a_link_that_is_down_is_not_taken_for_a_limit(self, tmp_path):
        with hostile_server(second(Opening.ENDS_ALL), root=tmp_path) as server:
            transport = SftpTransport(server.options(), POLICY)
            transport.open()
        # The server is gone now.
        assert set(codes(transport.stage(uploads(150)))) <= {"CONNECTION_LOST", "CONNECTION_REFUSED"}
        assert transport.limits() == ServerLimits()
