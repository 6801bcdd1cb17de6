"""Large batches over several channels of one session, and over one where a server allows no more."""

import pytest

from erp_connectors.documents import Move, Upload
from erp_connectors.sftp import operations
from erp_connectors.sftp.channels import AT_MOST, Channels
from erp_connectors.sftp.errors import ConnectionLost, SftpUnavailable
from erp_connectors.sftp.pipeline import Pipeline
from erp_connectors.sftp.wire import Attributes
from erp_connectors.transports.base import TransportPolicy
from erp_connectors.transports.sftp import SftpTransport
from tests.servers.openssh import openssh_server
from tests.sftp.test_pipeline import Script, honest, puts


def pipeline(files):
    return Pipeline(Script(honest(files)), io_timeout=5)


def sizes(results):
    return [file.size for file in results]


class Opening:
    """What the server says to each channel beyond the first."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), 0

    def __call__(self):
        self.asked += 1
        answer = self.answers.pop() if self.answers else SftpUnavailable("no more")
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_large_batch_is_shared_out_and_answered_in_its_order():
    files: dict[bytes, bytearray] = {}
    opening = Opening(*[pipeline(files) for _ in range(AT_MOST - 1)])
    channels = Channels(lambda: pipeline(files), opening)

    results = channels.share_out(
        [operations.put(f"/{n}", b"x" * n, mode=None, sync=False) for n in range(200)], files_open=64
    )

    assert sizes(results) == list(range(200))
    assert {name: len(data) for name, data in files.items()} == {b"/%d" % n: n for n in range(200)}
    assert opening.asked == AT_MOST - 1
    assert sizes(channels.share_out(puts(200), files_open=64)) == [20_000] * 200
    assert opening.asked == AT_MOST - 1


@pytest.mark.parametrize("allowed", [0, 1])
def test_a_server_that_allows_fewer_channels_gets_everything_over_those(allowed):
    files: dict[bytes, bytearray] = {}
    opening = Opening(*[pipeline(files) for _ in range(allowed)])
    channels = Channels(lambda: pipeline(files), opening)

    assert sizes(channels.share_out(puts(200), files_open=64)) == [20_000] * 200
    asked = opening.asked
    assert sizes(channels.share_out(puts(200), files_open=64)) == [20_000] * 200
    assert opening.asked == asked
    assert len(files) == 200


def test_a_small_batch_opens_no_channel():
    opening = Opening()
    channels = Channels(lambda: pipeline({}), opening)

    assert sizes(channels.share_out(puts(40), files_open=64)) == [20_000] * 40
    assert opening.asked == 0


def test_a_channel_that_ends_loses_its_own_share_and_is_not_used_again():
    class Ending(Script):
        def recv(self, nbytes):
            return super().recv(nbytes) if self.sent < 1000 else b""

    files: dict[bytes, bytearray] = {}
    ending = Pipeline(Ending(honest(files)), io_timeout=5)
    channels = Channels(lambda: pipeline(files), Opening(ending))

    results = channels.share_out(puts(64), files_open=64)

    assert [type(result) for result in results] == [Attributes, ConnectionLost] * 32
    assert channels.broken is None
    assert sizes(channels.share_out(puts(64), files_open=64)) == [20_000] * 64


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
    opening = Opening(*[pipeline(files) for _ in range(AT_MOST - 1)])

    channels = Channels(lambda: pipeline(files), opening, expected=200)

    assert sizes(channels.share_out(puts(200), files_open=64)) == [20_000] * 200
    assert opening.asked == AT_MOST - 1
