"""A server, or somebody in between, that sends nonsense during the handshake: a fault, never a crash or a wait."""

import time
from concurrent.futures import ThreadPoolExecutor

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
PLACES = [*range(0, 50, 3), *range(50, 2000, 61)]


def test_one_spoilt_byte_anywhere_is_a_fault_with_a_hint_and_never_a_wait(server):
    with ThreadPoolExecutor(8) as pool:  # most of them wait for a deadline
        wrong = [outcome for outcome in pool.map(lambda place: attempt(server, place), PLACES) if outcome]

    assert wrong == []


def attempt(server, place):
    """Return a description of a wrong result, empty if it is right."""
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

    took = time.monotonic() - started
    if not (last.ok or last.fault.kind.hint):
        return f"byte {place}: no hint: {last}"
    return f"byte {place}: {took:.0f} s" if took > 30 else ""
