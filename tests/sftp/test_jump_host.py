"""A server behind a jump host: each hop is checked and named, and everything works through it as without."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from erp_connectors.faults import Fault
from erp_connectors.port_types import Move, ProbeStep, Upload
from erp_connectors.transports.allowed_hosts import AllowedHosts
from erp_connectors.transports.base import TransportPolicy
from erp_connectors.transports.sftp import SftpTransport
from tests.servers.asyncssh_server import Behaviour, asyncssh_server
from tests.servers.ssh import SshServer, new_key, private_text, public_line

POLICY = TransportPolicy(sftp_loopback=True)


@dataclass
class Way:
    """A server, and the jump host in front of it."""

    server: SshServer
    jump: SshServer
    behaviour: Behaviour

    def transport(
        self, *, policy: TransportPolicy = POLICY, hop: Any = None, **changes: Any
    ) -> SftpTransport:
        changes = {"connect_timeout": 60, **changes, "hop": self.jump.as_hop(**(hop or {}))}
        return SftpTransport(self.server.options(**changes), policy)

    def failed(self, **options: Any) -> tuple[str, str, str]:
        """The step at which opening ended, its fault's code, and its text."""
        *_, last = self.steps(**options)
        assert last.fault
        return last.name, last.fault.code, last.fault.message

    def steps(self, **options: Any) -> list[ProbeStep]:
        with closing(self.transport(**options)) as transport:
            return list(transport.open_steps())


def anywhere(host: str, port: int) -> tuple[str, int]:
    return host, port


@pytest.fixture
def way(tmp_path: Path) -> Iterator[Way]:
    behaviour = Behaviour(forward=anywhere)
    folders = [tmp_path / name for name in ("server", "jump")]
    for folder in (*folders, folders[0] / "in"):
        folder.mkdir()
    with (
        asyncssh_server(folders[0]) as server,
        asyncssh_server(folders[1], behaviour=behaviour) as jump,
    ):
        yield Way(server, jump, behaviour)


def test_each_hop_is_a_step_with_its_own_key_and_login(way):
    with closing(way.transport()) as transport:
        planned = [name for name, _ in transport.planned_steps()]
        steps = list(transport.open_steps())

    assert planned == [step.name for step in steps] == [
        "via_tcp", "via_host_key", "via_login", "forward", "host_key", "login"
    ]  # fmt: skip
    assert [step.fault for step in steps] == [None] * 6
    assert [str(step.found) for step in steps[:4:3]] == [
        f"Connected to 127.0.0.1, port {way.jump.port}.",
        f"Connected to 127.0.0.1:{way.server.port}.",
    ]
    assert way.behaviour.forwarded == [(way.server.host, way.server.port)]
    assert way.behaviour.sessions == 0, "no file is stored on the jump host"


def test_orders_are_written_published_and_read_through_it(way):
    names = [f"/in/{n}" for n in range(70)]
    with closing(way.transport()) as transport:
        transport.open()
        assert (
            transport.stage([Upload(f"{name}.tmp", name.encode() * 5_000) for name in names]) == [None] * 70
        )
        assert transport.publish([Move(f"{name}.tmp", name) for name in names]) == [None] * 70
        assert transport.read(names, max_bytes=10**6) == [name.encode() * 5_000 for name in names]

    assert {path.name for path in (way.server.root / "in").iterdir()} == {str(n) for n in range(70)}


def test_a_session_is_kept_with_its_jump_host_and_closing_closes_both(way):
    with closing(way.transport()) as transport:
        transport.open()
        assert transport.resume()
        assert list(transport.open_steps()) == [], "it is used again"
        assert way.behaviour.connections == 1
    assert _soon(lambda: way.behaviour.connections == 0)
    assert _soon(lambda: not _ssh_threads()), "no thread is left"


def test_a_session_ends_with_its_jump_host_and_both_are_made_anew(way):
    with closing(way.transport()) as transport:
        transport.open()
        assert transport.resume()
        transport._link._route._jump._sock.shutdown(socket.SHUT_RDWR)
        transport._link._session._transport.join(60)

        assert [step.fault for step in transport.open_steps()] == [None] * 6


@pytest.mark.parametrize(
    ("hop", "step", "code"),
    [
        ({"host": "nowhere.invalid"}, "via_tcp", "NAME_NOT_FOUND"),
        ({"port": 1}, "via_tcp", "CONNECTION_REFUSED"),
        ({"host": "169.254.169.254"}, "via_tcp", "HOST_NOT_ALLOWED"),
        ({"host_keys": ()}, "via_host_key", "HOST_KEY_UNKNOWN"),
        ({"host_keys": (public_line(new_key()),)}, "via_host_key", "HOST_KEY_CHANGED"),
        ({"ssh_key": None, "password": "wrong"}, "via_login", "LOGIN_REFUSED"),
        ({"ssh_key": private_text(new_key())}, "via_login", "LOGIN_REFUSED"),
        ({"ssh_key": "no key"}, "via_login", "KEY_UNREADABLE"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_fault_of_the_jump_host_is_named_as_its_own(way, hop, step, code):
    name, found, text = way.failed(hop=hop)

    assert (name, found) == (step, code)
    # A name that leads nowhere is in the text itself.
    about = hop.get("host", f"jump host 127.0.0.1:{hop.get('port', way.jump.port)}")
    assert about in text
    assert way.behaviour.forwarded == []


def test_nothing_but_a_handshake_reaches_a_jump_host_with_another_key(way):
    logins = []
    way.behaviour.on_login = lambda: logins.append(1)

    way.failed(hop={"host_keys": (public_line(new_key()),)})

    assert logins == []


def _raise(error: Exception) -> Callable[[str, int], tuple[str, int]]:
    def forward(host: str, port: int) -> tuple[str, int]:
        raise error

    return forward


@pytest.mark.parametrize(
    ("forward", "code"),
    [
        (None, "HOP_CONNECT_FAILED"),
        (_raise(asyncssh.ChannelOpenError(1, "not this host")), "FORWARDING_REFUSED"),
        (_raise(asyncssh.ChannelOpenError(4, "too many")), "HOP_CONNECT_FAILED"),
        (lambda host, port: (host, 1), "HOP_CONNECT_FAILED"),
    ],
)
def test_what_the_jump_host_does_not_connect_is_told_with_its_reason(way, forward, code):
    way.behaviour.forward = forward

    name, found, text = way.failed()

    assert (name, found) == ("forward", code)
    assert f"jump host 127.0.0.1:{way.jump.port}" in text
    assert f"127.0.0.1:{way.server.port}" in text


def test_the_server_behind_it_proves_its_own_pinned_key(way):
    name, code, text = way.failed(host_keys=(public_line(new_key()),))

    assert (name, code) == ("host_key", "HOST_KEY_CHANGED")
    assert "jump host" not in text


@pytest.mark.deep
def test_a_silent_server_behind_it_is_given_up(way):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        way.behaviour.forward = lambda *_: silent.getsockname()
        *_, last = way.steps(connect_timeout=10)

    assert last.name == "host_key"
    assert last.fault is not None
    assert last.fault.code in ("CONNECTION_TIMEOUT", "SERVER_BUSY")


def test_no_secret_is_in_what_a_jump_host_says(way):
    way.behaviour.forward = _raise(asyncssh.ChannelOpenError(1, f"you are {way.jump.password}"))

    assert way.failed()[2].count("[hidden]") == 1
    assert str(way.jump.password) not in repr(way.server.options(hop=way.jump.as_hop()))


def test_both_host_keys_are_fetched_through_the_jump_host(way):
    with closing(way.transport(hop={})) as transport:
        server, jump = transport.presented_keys(), transport.presented_keys("via_host_key")

    assert [key.line for key in server.shown] == [way.server.host_key]
    assert [key.line for key in jump.shown] == [way.jump.host_key]
    assert _soon(lambda: way.behaviour.connections == 0)


def test_the_key_of_a_jump_host_is_fetched_before_anything_is_known_of_it(way):
    hop = {"host_keys": (), "password": None, "ssh_key": None}
    with closing(way.transport(hop=hop)) as transport:
        assert [key.line for key in transport.presented_keys("via_host_key").shown] == [way.jump.host_key]


def test_behind_another_jump_host_the_same_name_is_another_destination(way):
    direct = SftpTransport(way.server.options(), POLICY).destination("/in")
    through = way.transport().destination("/in")

    assert direct == f"sftp://orderflow@127.0.0.1:{way.server.port}"
    assert through == f"{direct} via jump_host://127.0.0.1:{way.jump.port}"
    assert way.transport(hop={"port": 1}).destination("/in") != through


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "0xA9FEA9FE", "::ffff:169.254.169.254", "0.0.0.0", "fe80::1"]
)
def test_an_address_behind_a_jump_host_is_checked_in_every_spelling(way, host):
    assert way.failed(host=host)[:2] == ("forward", "HOST_NOT_ALLOWED")
    assert way.behaviour.forwarded == []


def test_without_loopback_the_jump_host_itself_is_no_server():
    for host in (
        "localhost", "erp.localhost", "ip6-localhost", "localhost.localdomain", "127.0.0.1", "::1", "2130706433",
    ):  # fmt: skip
        with pytest.raises(Fault) as caught:
            AllowedHosts(host, TransportPolicy()).name_behind_hop()
        assert caught.value.code == "HOST_NOT_ALLOWED"


def test_a_name_that_only_the_jump_host_knows_is_passed_on(way):
    way.behaviour.forward = lambda host, port: ("127.0.0.1", port)

    assert [step.fault for step in way.steps(host="erp.internal.invalid")] == [None] * 6
    assert way.behaviour.forwarded == [("erp.internal.invalid", way.server.port)]


@pytest.mark.parametrize(
    ("allowed", "host", "code"),
    [
        (("127.0.0.1", "erp.internal"), "erp.internal", ""),
        (("127.0.0.1", "erp.internal"), "ERP.internal.", ""),
        (("127.0.0.0/8", "10.0.0.0/8"), "10.1.2.3", ""),
        (("127.0.0.1",), "erp.internal", "HOST_NOT_ALLOWED"),
        (("127.0.0.1",), "10.1.2.3", "HOST_NOT_ALLOWED"),
        (("127.0.0.0/8", "10.0.0.0/8"), "erp.internal", "HOST_NOT_ALLOWED"),
        (("erp.internal",), "erp.internal", "HOST_NOT_ALLOWED"),
    ],
)
def test_the_list_of_allowed_hosts_applies_to_both(way, allowed, host, code):
    way.behaviour.forward = lambda _host, port: ("127.0.0.1", port)
    policy = TransportPolicy(sftp_loopback=True, sftp_allowed_hosts=allowed)

    *_, last = way.steps(host=host, policy=policy)

    assert (last.fault.code if last.fault else "") == code


def _ssh_threads() -> list[str]:
    return [
        type(thread).__name__
        for thread in threading.enumerate()
        if type(thread).__name__ == "GuardedTransport"
    ]


def _soon(condition: Callable[[], bool]) -> bool:
    for _ in range(600):
        if condition():
            return True
        threading.Event().wait(0.05)
    return False


@pytest.mark.parametrize(
    "host",
    ["x\uff20127.0.0.1", "erp.example\uff1a80", "a\uff0fb", "¨.example", "[::1]", "a b", "x@127.0.0.1"],
)
def test_a_hop_is_asked_for_nothing_but_a_name_or_an_address(host):
    """tinyproxy takes what stands before an @ for a login, and connects to what stands behind it."""
    for check in ("name", "name_behind_hop"):
        with pytest.raises(Fault) as refused:
            getattr(AllowedHosts(host, TransportPolicy()), check)()
        assert refused.value.code == "NAME_NOT_FOUND"


def test_an_address_of_an_unknown_interface_is_not_left_to_the_hop():
    with pytest.raises(Fault) as refused:
        AllowedHosts("fe80::1%nowhere0", TransportPolicy()).name_behind_hop()
    assert refused.value.code == "NAME_NOT_FOUND"


def test_names_and_addresses_in_each_usual_form_pass():
    for host, name in {
        "ERP.example.": "erp.example", "bücher.example": "xn--bcher-kva.example", "erp_1": "erp_1",
        "\uff45\uff52\uff50.example": "erp.example", "8.8.8.8": "8.8.8.8",
        "2001:4860:4860::8888": "2001:4860:4860::8888",
    }.items():  # fmt: skip
        assert AllowedHosts(host, TransportPolicy()).name_behind_hop() == name
