"""A server, or somebody in between, that sends nonsense during the handshake: a fault, never a crash or a wait."""

import time

import pytest

from erp_connectors.transports.base import TransportPolicy
from erp_connectors.transports.sftp import SftpTransport
from tests.servers.asyncssh_server import asyncssh_server
from tests.servers.gate import gate


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with asyncssh_server(tmp_path_factory.mktemp("root")) as running:
        yield running


# The greeting, the KEXINIT, the key exchange's reply, and a little of what is encrypted.
@pytest.mark.parametrize("place", [*range(0, 50, 3), *range(50, 2000, 61)])
def test_one_spoilt_byte(server, place):
    with gate(server.port) as peer:
        peer.spoilt = place
        transport = SftpTransport(
            server.options(port=peer.port, connect_timeout=1, io_timeout=1),
            TransportPolicy(sftp_loopback=True),
        )
        started = time.monotonic()
        try:
            *_, last = transport.open_steps()
        finally:
            transport.close()

    assert last.ok or last.fault.kind.hint
    assert time.monotonic() - started < 15
