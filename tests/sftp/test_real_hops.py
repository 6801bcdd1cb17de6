"""The jump hosts and proxies that are in use: OpenSSH, tinyproxy, microsocks."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from erp_connectors.port_types import Move, Upload
from erp_connectors.transports.base import TransportPolicy
from erp_connectors.transports.sftp import SftpTransport
from erp_connectors.transports.sftp.options import HopKind, HopOptions
from tests.servers.asyncssh_server import asyncssh_server
from tests.servers.openssh import openssh_server
from tests.servers.real_proxies import PASSWORD, USER, microsocks, tinyproxy
from tests.servers.ssh import SshServer, free_port

pytestmark = pytest.mark.deep

POLICY = TransportPolicy(sftp_loopback=True)
MakeHop = Callable[..., HopOptions]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    root = tmp_path_factory.mktemp("root")
    (root / "in").mkdir()
    with asyncssh_server(root) as running:
        yield running


@pytest.fixture
def make_hop(tmp_path: Path, server: SshServer) -> Iterator[MakeHop]:
    with ExitStack() as stack:

        def make(kind: str, *, allowed: int | None = None, extra: str = "", **changes: Any) -> HopOptions:
            if kind == HopKind.JUMP_HOST:
                return stack.enter_context(openssh_server(tmp_path, tmp_path, extra=extra)).as_hop(**changes)
            port = stack.enter_context(
                tinyproxy(tmp_path, allowed=allowed or server.port)
                if kind == HopKind.HTTP_PROXY
                else microsocks(tmp_path)
            )
            login = {"username": USER, "password": PASSWORD}
            return HopOptions(
                **{"kind": HopKind(kind), "host": "127.0.0.1", "port": port, **login, **changes}
            )

        yield make


def failed(server: SshServer, hop: HopOptions, **changes: Any) -> tuple[str, str]:
    options = server.options(hop=hop, connect_timeout=60, **changes)
    with closing(SftpTransport(options, POLICY)) as transport:
        *_, last = transport.open_steps()
    assert last.fault
    return last.name, last.fault.code


@pytest.mark.parametrize("kind", list(HopKind))
def test_orders_pass_it_and_a_kept_session_is_used_again(server, make_hop, kind):
    names = [f"/in/{kind}-{n}" for n in range(80)]
    options = server.options(hop=make_hop(kind), connect_timeout=60)
    with closing(SftpTransport(options, POLICY)) as transport:
        transport.open()
        assert (
            transport.stage([Upload(f"{name}.tmp", name.encode() * 3_000) for name in names]) == [None] * 80
        )
        assert transport.publish([Move(f"{name}.tmp", name) for name in names]) == [None] * 80
        assert transport.resume()
        assert list(transport.open_steps()) == []
        assert transport.read(names, max_bytes=10**6) == [name.encode() * 3_000 for name in names]


def test_a_jump_host_that_renews_its_session_keys_meanwhile(server, make_hop):
    names = [f"/in/rekey-{n}" for n in range(100)]
    hop = make_hop(HopKind.JUMP_HOST, extra="RekeyLimit 256K")
    with closing(SftpTransport(server.options(hop=hop, connect_timeout=60), POLICY)) as transport:
        transport.open()
        assert transport.stage([Upload(name, name.encode() * 3_000) for name in names]) == [None] * 100
        assert transport.read(names, max_bytes=10**6) == [name.encode() * 3_000 for name in names]


@pytest.mark.parametrize("kind", list(HopKind))
def test_the_host_key_is_fetched_through_it(server, make_hop, kind):
    options = server.options(hop=make_hop(kind), host_keys=(), connect_timeout=60)
    with closing(SftpTransport(options, POLICY)) as transport:
        assert [key.line for key in transport.presented_keys().shown] == [server.host_key]


@pytest.mark.parametrize("kind", [HopKind.HTTP_PROXY, HopKind.SOCKS5_PROXY])
@pytest.mark.parametrize(
    "login", [{"password": "wrong"}, {"username": "", "password": None}], ids=["wrong", "none"]
)
def test_a_refused_login_at_a_proxy(server, make_hop, kind, login):
    assert failed(server, make_hop(kind, **login)) == ("forward", "PROXY_LOGIN_REFUSED")


@pytest.mark.parametrize("kind", list(HopKind))
def test_a_port_where_no_server_listens(server, make_hop, kind):
    port = free_port()

    assert failed(server, make_hop(kind, allowed=port), port=port) == ("forward", "HOP_CONNECT_FAILED")


@pytest.mark.parametrize("kind", list(HopKind))
def test_a_name_that_it_does_not_know(server, make_hop, kind):
    assert failed(server, make_hop(kind), host="nowhere.invalid") == ("forward", "HOP_CONNECT_FAILED")


def test_a_proxy_that_does_not_allow_the_port(server, make_hop):
    hop = make_hop(HopKind.HTTP_PROXY, allowed=1)

    assert failed(server, hop) == ("forward", "FORWARDING_REFUSED")


@pytest.mark.parametrize(
    "extra", ["AllowTcpForwarding no", "PermitOpen 127.0.0.1:1", "DisableForwarding yes"]
)
def test_a_jump_host_that_does_not_allow_forwarding(server, make_hop, extra):
    hop = make_hop(HopKind.JUMP_HOST, extra=extra)

    assert failed(server, hop) == ("forward", "FORWARDING_REFUSED")


def test_a_proxy_of_the_other_kind(server, make_hop):
    socks = make_hop(HopKind.SOCKS5_PROXY)
    name, code = failed(server, replace(socks, kind=HopKind.HTTP_PROXY))

    # It replies to a wrong version, or hangs up.
    assert name == "forward"
    assert code in ("NOT_A_PROXY", "CONNECTION_LOST")
