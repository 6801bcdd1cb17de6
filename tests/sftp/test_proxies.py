"""A server behind an HTTP CONNECT or SOCKS version 5 proxy, and proxies that refuse, delay or lie."""

import base64
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from erp_connectors.faults import Fault
from erp_connectors.port_types import Move, Upload
from erp_connectors.sftp.proxies import MAX_HTTP_REPLY
from erp_connectors.transports.base import TransportPolicy
from erp_connectors.transports.sftp import SftpTransport
from erp_connectors.transports.sftp.options import HopKind
from tests.servers.asyncssh_server import asyncssh_server
from tests.servers.forward_proxy import PASSWORD, USER, ForwardProxy, forward_proxy
from tests.servers.ssh import SshServer, free_port, new_key, public_line

POLICY = TransportPolicy(sftp_loopback=True)
HTTP, SOCKS = HopKind.HTTP_PROXY, HopKind.SOCKS5_PROXY
BOTH = pytest.mark.parametrize("kind", [HTTP, SOCKS])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    root = tmp_path_factory.mktemp("root")
    (root / "in").mkdir()
    with asyncssh_server(root) as running:
        yield running


@pytest.fixture
def proxy() -> Iterator[ForwardProxy]:
    with forward_proxy() as running:
        yield running


def opened(server: SshServer, hop: Any, policy: TransportPolicy = POLICY, **changes: Any) -> list[Any]:
    options = server.options(**{"hop": hop, "connect_timeout": 60, **changes})
    with closing(SftpTransport(options, policy)) as transport:
        return list(transport.open_steps())


def failed(server: SshServer, hop: Any, **changes: Any) -> tuple[str, str, str]:
    fault: Fault
    *_, last = opened(server, hop, **changes)
    fault = last.fault
    assert fault
    return last.name, fault.code, fault.message


@BOTH
@pytest.mark.parametrize("login", [False, True], ids=["open", "login"])
def test_orders_pass_it(server, proxy, kind, login):
    proxy.login = login
    names = [f"/in/{kind}-{login}-{n}" for n in range(40)]
    with closing(SftpTransport(server.options(hop=proxy.hop(kind)), POLICY)) as transport:
        planned = [name for name, _ in transport.planned_steps()]
        steps = list(transport.open_steps())
        assert [step.fault for step in steps] == [None] * 4
        assert planned == [step.name for step in steps] == ["via_tcp", "forward", "host_key", "login"]
        assert transport.stage([Upload(f"{name}.tmp", name.encode() * 999) for name in names]) == [None] * 40
        assert transport.publish([Move(f"{name}.tmp", name) for name in names]) == [None] * 40
        assert transport.read(names, max_bytes=10**6) == [name.encode() * 999 for name in names]
        assert transport.resume()
        assert transport.destination("/in").endswith(f" via {kind}://127.0.0.1:{proxy.port}")

    assert proxy.asked == [(server.host, server.port)]


@BOTH
def test_the_host_key_is_fetched_through_it(server, proxy, kind):
    with closing(SftpTransport(server.options(hop=proxy.hop(kind), host_keys=()), POLICY)) as transport:
        assert [key.line for key in transport.presented_keys().shown] == [server.host_key]
    assert proxy.asked


@BOTH
def test_a_name_is_looked_up_by_the_proxy_and_an_address_is_checked(server, proxy, kind):
    proxy.route = (server.host, server.port)

    assert opened(server, proxy.hop(kind), host="erp.internal.invalid", port=22)[-1].fault is None
    assert failed(server, proxy.hop(kind), host="0xA9FEA9FE")[:2] == ("forward", "HOST_NOT_ALLOWED")
    assert opened(server, proxy.hop(kind), host="fd12::1", port=22)[-1].fault is None
    assert proxy.asked == [("erp.internal.invalid", 22), ("fd12::1", 22)]


@BOTH
def test_the_proxys_own_address_is_checked(server, proxy, kind):
    hop = proxy.hop(kind)

    assert failed(server, proxy.hop(kind, host="169.254.169.254"))[:2] == ("via_tcp", "HOST_NOT_ALLOWED")
    assert failed(server, proxy.hop(kind, port=free_port()))[:2] == ("via_tcp", "CONNECTION_REFUSED")
    with closing(SftpTransport(server.options(hop=hop), TransportPolicy())) as transport:
        (step,) = transport.open_steps()
    assert step.fault is not None
    assert step.fault.code == "HOST_NOT_ALLOWED"


@BOTH
@pytest.mark.parametrize(
    "login", [{"username": "", "password": None}, {"password": "wrong"}], ids=["none", "wrong"]
)
def test_a_login_that_it_refuses_is_its_own_fault(server, proxy, kind, login):
    proxy.login = True

    step, code, text = failed(server, proxy.hop(kind, **login))

    assert (step, code) == ("forward", "PROXY_LOGIN_REFUSED")
    assert f"proxy 127.0.0.1:{proxy.port}" in text
    assert proxy.asked == []


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        ("403 Forbidden", "FORWARDING_REFUSED"),
        ("405 Method Not Allowed", "FORWARDING_REFUSED"),
        ("302 Found", "FORWARDING_REFUSED"),
        ("429 Too Many Requests", "HOP_CONNECT_FAILED"),
        ("502 Bad Gateway", "HOP_CONNECT_FAILED"),
        ("503 Service Unavailable", "HOP_CONNECT_FAILED"),
        ("504 Gateway Timeout", "HOP_CONNECT_FAILED"),
    ],
)
def test_each_refusal_of_an_http_proxy_has_its_fault(server, proxy, refusal, code):
    proxy.refusal = refusal

    step, found, text = failed(server, proxy.hop(HTTP))

    assert (step, found) == ("forward", code)
    assert refusal in text


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (1, "HOP_CONNECT_FAILED"),
        (2, "FORWARDING_REFUSED"),
        (3, "HOP_CONNECT_FAILED"),
        (4, "HOP_CONNECT_FAILED"),
        (5, "HOP_CONNECT_FAILED"),
        (6, "HOP_CONNECT_FAILED"),
        (7, "FORWARDING_REFUSED"),
        (8, "FORWARDING_REFUSED"),
        (77, "HOP_CONNECT_FAILED"),
    ],
)
def test_each_refusal_of_a_socks_proxy_has_its_fault(server, proxy, code, fault):
    proxy.refusal = code

    step, found, text = failed(server, proxy.hop(SOCKS))

    assert (step, found) == ("forward", fault)
    assert f"127.0.0.1:{server.port}" in text


def says(data: bytes) -> Any:
    """Let a proxy say this at once, and then keep the connection open until the client closes it."""

    def serve(client: socket.socket) -> None:
        client.sendall(data)
        while client.recv(1024):
            pass

    return serve


@pytest.mark.parametrize(
    ("kind", "data", "code"),
    [
        (HTTP, b"SSH-2.0-OpenSSH_9.2\r\n", "NOT_A_PROXY"),
        (HTTP, b"\x05\xff", "NOT_A_PROXY"),
        (HTTP, b"HTTP/1.1 lots of fun\r\n\r\n", "NOT_A_PROXY"),
        (HTTP, b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * MAX_HTTP_REPLY, "NOT_A_PROXY"),
        (HTTP, b"HTTP/1.1 100 Continue\r\n\r\n" * 9, "FORWARDING_REFUSED"),
        (HTTP, b"HTTP/1.1 407 No\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\n\r\n",
         "PROXY_LOGIN_REFUSED"),
        (HTTP, b"HTTP/1.1 200 OK\r\n", "CONNECTION_TIMEOUT"),
        (HTTP, b"HTT", "CONNECTION_TIMEOUT"),
        (HTTP, b"", "CONNECTION_TIMEOUT"),
        (SOCKS, b"SSH-2.0-OpenSSH_9.2\r\n", "NOT_A_PROXY"),
        (SOCKS, b"\x04\x5a", "NOT_A_PROXY"),
        (SOCKS, b"\x05\x02", "NOT_A_PROXY"),
        (SOCKS, b"\x05\x00\x04\x00", "NOT_A_PROXY"),
        (SOCKS, b"\x05\x00\x05\x00\x00\x09", "NOT_A_PROXY"),
        (SOCKS, b"\x05\x00\x05\x00\x00\x03\xff" + b"x" * 100, "CONNECTION_TIMEOUT"),
        (SOCKS, b"", "CONNECTION_TIMEOUT"),
    ],
)  # fmt: skip
def test_what_is_no_proxy_or_never_ends_is_bounded(server, proxy, kind, data, code):
    proxy.instead = says(data)

    seconds = 0.5 if code == "CONNECTION_TIMEOUT" else 60
    step, found, text = failed(server, proxy.hop(kind), connect_timeout=seconds)

    assert (step, found) == ("forward", code)
    assert "proxy 127.0.0.1" in text


@BOTH
def test_one_that_hangs_up_is_asked_again_later(server, proxy, kind):
    proxy.instead = lambda client: None

    assert failed(server, proxy.hop(kind))[:2] == ("forward", "CONNECTION_LOST")


@BOTH
def test_a_reply_in_tiny_parts_is_read_and_bounded_as_a_whole(server, proxy, kind):
    proxy.pause = 0.001
    assert opened(server, proxy.hop(kind))[-1].fault is None

    # Each byte comes in time, all of them do not.
    proxy.pause = 0.4
    assert failed(server, proxy.hop(kind), connect_timeout=0.5)[:2] == ("forward", "CONNECTION_TIMEOUT")


def test_the_kinds_of_login_that_an_http_proxy_offers_are_named(server, proxy):
    offers = b'Proxy-Authenticate: Negotiate, NTLM\r\nProxy-Authenticate: Digest realm="Basic", nonce="x"\r\n'
    proxy.instead = says(b"HTTP/1.1 407 No\r\n" + offers + b"\r\n")

    assert "Negotiate, NTLM, Digest" in failed(server, proxy.hop(HTTP))[2]


def test_a_proxy_that_repeats_the_credentials_does_not_get_them_shown(server, proxy):
    basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    proxy.refusal = f"403 {PASSWORD} {basic}"

    text = failed(server, proxy.hop(HTTP, username=USER, password=PASSWORD))[2]

    assert text.count("[hidden]") == 2
    assert PASSWORD not in text
    assert basic not in text


@BOTH
def test_the_server_behind_it_proves_its_own_pinned_key(server, proxy, kind):
    step, code, text = failed(server, proxy.hop(kind), host_keys=(public_line(new_key()),))

    assert (step, code) == ("host_key", "HOST_KEY_CHANGED")
    assert "proxy" not in text


def test_a_link_that_dies_with_its_proxy_is_made_anew(server, proxy, tmp_path: Path):
    with closing(SftpTransport(server.options(hop=proxy.hop(SOCKS)), POLICY)) as transport:
        transport.open()
        assert transport.resume()
        transport._link._session._sock.shutdown(socket.SHUT_RDWR)
        transport._link._session._transport.join(60)

        assert [step.fault for step in transport.open_steps()] == [None] * 4
