"""Faults of a jump host or proxy: the orders wait, and each fault says where it happened."""

import asyncssh as ssh
import pytest

from erp_connectors.transports.sftp.options import HopKind
from tests.faults.conftest import assert_told
from tests.servers.asyncssh_server import Behaviour, asyncssh_server
from tests.servers.forward_proxy import forward_proxy
from tests.servers.ssh import new_key, public_line


def forbid(host, port):
    raise ssh.ChannelOpenError(1, "not this host")


@pytest.mark.parametrize(
    ("forward", "hop", "code", "step"),
    [
        (forbid, {}, "FORWARDING_REFUSED", "forward"),
        (lambda host, port: (host, 1), {}, "HOP_CONNECT_FAILED", "forward"),
        (None, {"via_host_key": public_line(new_key())}, "HOST_KEY_CHANGED", "via_host_key"),
        (None, {"via_ssh_key": None, "via_password": "wrong"}, "LOGIN_REFUSED", "via_login"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_of_a_jump_host(erp_at, asyncssh, tmp_path, forward, hop, code, step):
    (tmp_path / "jump").mkdir()
    with asyncssh_server(tmp_path / "jump", behaviour=Behaviour(forward=forward)) as jump:
        message = assert_told(erp_at(asyncssh, **jump.hop_config(**hop)), code, step=step)

    assert f"jump host 127.0.0.1:{jump.port}" in message


@pytest.mark.parametrize("kind", [HopKind.HTTP_PROXY, HopKind.SOCKS5_PROXY])
def test_of_a_proxy(erp_at, asyncssh, kind):
    with forward_proxy(login=True) as proxy:
        config = {**proxy.config(kind), "via_password": "wrong"}
        message = assert_told(erp_at(asyncssh, **config), "PROXY_LOGIN_REFUSED", step="forward")

    assert f"proxy 127.0.0.1:{proxy.port}" in message


def test_of_a_service_that_is_no_proxy(erp_at, asyncssh):
    config = {"via": "http_proxy", "via_host": "127.0.0.1", "via_port": asyncssh.port}
    message = assert_told(erp_at(asyncssh, **config), "NOT_A_PROXY", step="forward")

    assert f"proxy 127.0.0.1:{asyncssh.port}" in message


def test_an_order_is_sent_once_the_jump_host_allows_it(erp_at, asyncssh, tmp_path):
    (tmp_path / "jump").mkdir()
    behaviour = Behaviour(forward=forbid)
    with asyncssh_server(tmp_path / "jump", behaviour=behaviour) as jump:
        erp = erp_at(asyncssh, **jump.hop_config())
        waiting = erp.delivered()
        assert (waiting.status, waiting.error_json["code"]) == ("PENDING", "FORWARDING_REFUSED")
        behaviour.forward = lambda host, port: (host, port)
        assert erp.probed().fault is None

        erp.delivered()

    waiting.refresh_from_db()
    assert waiting.status == "SENT"
    assert len(erp.published()) == 2
