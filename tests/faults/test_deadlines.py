"""No call outlasts its configured time, whatever the peer does or leaves undone."""

import socket
import time

import pytest

from erp_connectors.faults import Fault
from erp_connectors.port_types import Upload
from erp_connectors.transports.base import TransportPolicy
from erp_connectors.transports.sftp import SftpTransport
from tests.servers.asyncssh_server import Behaviour, asyncssh_server
from tests.servers.gate import SILENT, gate

pytestmark = pytest.mark.deep

# One byte in this time is, beside deadlines of a second, what a byte a minute is beside those of half a minute.
SLOW = 2.0
MUCH = b"x" * (24 << 20)
PATIENCE = 15


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with asyncssh_server(tmp_path_factory.mktemp("root")) as running:
        yield running


def transport_to(server, peer):
    options = server.options(port=peer.port, connect_timeout=1, io_timeout=1)
    return SftpTransport(options, TransportPolicy(sftp_loopback=True))


def soon(action):
    """What it came to, and that it came in time. Dripped to its end each answer here would take many minutes."""
    started = time.monotonic()
    try:
        outcome = action()
    except Fault as fault:
        outcome = fault
    assert time.monotonic() - started < PATIENCE
    return outcome


OPERATIONS = {
    "stage many": lambda t: t.stage([Upload(f"/{n}.tmp", b"x") for n in range(200)])[-1],
    "stage": lambda t: t.stage([Upload("/a.tmp", b"x")])[0],
    "exists": lambda t: t.exists(["/a"])[0],
    "read": lambda t: t.read(["/a"], max_bytes=10)[0],
    "list": lambda t: list(t.list("/")),
    "remove": lambda t: t.remove(["/a"])[0],
    "make_folder": lambda t: t.make_folder("/processed"),
}


@pytest.mark.parametrize("pace", [SILENT, SLOW], ids=["silent", "slow"])
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_no_operation_waits_longer(server, operation, pace):
    with gate(server.port) as peer, transport_to(server, peer) as transport:
        peer.choke(pace)
        outcome = soon(lambda: operation(transport))
        soon(transport.close)

    assert isinstance(outcome, Fault)
    assert outcome.code == "REMOTE_TIMEOUT"


def test_a_peer_that_takes_nothing_does_not_hold_a_writer(tmp_path):
    behaviour = Behaviour()
    with (
        asyncssh_server(tmp_path, behaviour=behaviour) as busy,
        gate(busy.port) as peer,
        transport_to(busy, peer) as transport,
    ):
        # As over a slow line, where little fits in between.
        transport._link._session._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        behaviour.interfere = lambda operation, name: peer.deafen() if operation == "write" else None
        outcomes = soon(lambda: transport.stage([Upload(f"/{n}.tmp", MUCH) for n in range(2)]))
        soon(transport.close)

    assert {fault.code for fault in outcomes} == {"REMOTE_TIMEOUT"}


@pytest.mark.parametrize("pace", [SILENT, SLOW], ids=["silent", "slow"])
def test_a_kept_session_that_has_died_is_noticed_in_time(server, pace):
    with gate(server.port) as peer, transport_to(server, peer) as transport:
        assert transport.resume()
        peer.choke(pace)
        outcome = soon(transport.open)
        soon(transport.close)

    assert isinstance(outcome, Fault)
    assert outcome.transient
