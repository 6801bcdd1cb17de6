"""Large batches over several channels of one session, and over one where a server allows no more."""

from functools import partial

import pytest

from erp_connectors.port_types import Move, Upload
from erp_connectors.sftp import operations
from erp_connectors.sftp.channels import MAX_CHANNELS, Channels
from erp_connectors.sftp.errors import ConnectionLost, SftpUnavailable
from erp_connectors.sftp.limits import LearnedLimits, ServerLimits
from erp_connectors.sftp.operations import WriteResult
from erp_connectors.sftp.pipeline import Pipeline
from erp_connectors.transports.base import TransportPolicy
from erp_connectors.transports.sftp import SftpTransport
from tests.servers.openssh import openssh_server
from tests.sftp.test_pipeline import Script, honest


def pipeline(files):
    return Pipeline(Script(honest(files)), io_timeout=5)


def sizes(results):
    return [file.look.size for file in results]


def put_all(channels, count, size=20_000):
    return channels.run_files(
        [partial(operations.put, f"/{n}", b"x" * size, mode=None, sync=False) for n in range(count)],
        at_once=64,
        shared=True,
    )


class Opening:
    """What the server says to each channel beyond the first."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), 0

    def __call__(self):
        self.asked += 1
        answer = self.answers.pop() if self.answers else SftpUnavailable()
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_large_batch_is_shared_out_and_answered_in_its_order():
    files: dict[bytes, bytearray] = {}
    opening = Opening(*[pipeline(files) for _ in range(MAX_CHANNELS - 1)])
    channels = Channels(lambda: pipeline(files), opening)

    jobs = [partial(operations.put, f"/{n}", b"x" * n, mode=None, sync=False) for n in range(200)]
    results = channels.run_files(jobs, at_once=64, shared=True)

    assert sizes(results) == list(range(200))
    assert {name: len(data) for name, data in files.items()} == {b"/%d" % n: n for n in range(200)}
    assert opening.asked == MAX_CHANNELS - 1
    assert sizes(put_all(channels, 200)) == [20_000] * 200
    assert opening.asked == MAX_CHANNELS - 1


@pytest.mark.parametrize("allowed", [0, 1])
def test_a_server_that_allows_fewer_channels_gets_everything_over_those(allowed):
    files: dict[bytes, bytearray] = {}
    opening = Opening(*[pipeline(files) for _ in range(allowed)])
    channels = Channels(lambda: pipeline(files), opening)

    assert sizes(put_all(channels, 200)) == [20_000] * 200
    asked = opening.asked
    assert sizes(put_all(channels, 200)) == [20_000] * 200
    assert opening.asked == asked
    assert len(files) == 200


def test_a_small_batch_opens_no_channel():
    opening = Opening()
    channels = Channels(lambda: pipeline({}), opening)

    assert sizes(put_all(channels, 40)) == [20_000] * 40
    assert opening.asked == 0


def test_a_channel_that_ends_loses_its_own_share_and_is_not_used_again():
    class Ending(Script):
        def recv(self, nbytes):
            return super().recv(nbytes) if self.sent < 1000 else b""

    files: dict[bytes, bytearray] = {}
    ending = Pipeline(Ending(honest(files)), io_timeout=5)
    learned = LearnedLimits()
    channels = Channels(lambda: pipeline(files), Opening(ending), learned=learned)

    results = put_all(channels, 64)

    assert [type(result) for result in results] == [WriteResult, ConnectionLost] * 32
    assert channels.broken is None
    assert learned.now.channels == 1
    assert sizes(put_all(channels, 64)) == [20_000] * 64


def test_a_channel_that_the_server_ended_while_it_was_idle_is_replaced():
    files: dict[bytes, bytearray] = {}
    idle, learned = Script(honest(files)), LearnedLimits()
    opening = Opening(pipeline(files), Pipeline(idle, io_timeout=5))
    channels = Channels(lambda: pipeline(files), opening, learned=learned)
    put_all(channels, 64)
    idle.closed = True

    assert sizes(put_all(channels, 64)) == [20_000] * 64
    assert (opening.asked, learned.now) == (2, ServerLimits())


def test_openssh_with_one_channel_only(tmp_path):
    root, own = tmp_path / "root", tmp_path / "server"
    root.mkdir()
    own.mkdir()
    names = [f"{n:03}" for n in range(150)]
    with (
        openssh_server(root, own, extra="MaxSessions 1") as server,
        SftpTransport(server.options(), TransportPolicy(sftp_loopback=True)) as transport,
    ):
        uploads = [Upload(server.path(f"{name}.tmp"), name.encode()) for name in names]
        moves = [Move(server.path(f"{name}.tmp"), server.path(name)) for name in names]
        assert transport.stage(uploads) == [None] * 150
        assert transport.publish(moves) == [None] * 150
        contents = transport.read([server.path(name) for name in names], max_bytes=10)

    assert contents == [name.encode() for name in names]


def test_what_is_expected_is_opened_before_it_is_asked_for():
    files: dict[bytes, bytearray] = {}
    opening = Opening(*[pipeline(files) for _ in range(MAX_CHANNELS - 1)])

    channels = Channels(lambda: pipeline(files), opening, expected=200)

    assert sizes(put_all(channels, 200)) == [20_000] * 200
    assert opening.asked == MAX_CHANNELS - 1
