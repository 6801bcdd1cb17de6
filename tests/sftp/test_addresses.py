"""Where a connection may lead: every spelling of an address, and a name server that changes its mind."""

# ruff: noqa: RUF001  # look-alike letters are what it is about

import ipaddress
import socket
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erp_connectors.address_policy import refusal
from erp_connectors.transports.base import TransportPolicy
from erp_connectors.transports.sftp import SftpOptions, SftpTransport

METADATA = "169.254.169.254"
SEEN_BY_ATTACKERS = {
    "link-local": [METADATA, "169.254.1.1", "fe80::1", "fe80::1%lo", "febf::1", "fec0::1"],
    "metadata": ["100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"],
    "no machine": ["0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1"],
    "loopback": ["127.0.0.1", "127.255.255.254", "::1"],
    "other spellings": [
        "2852039166", "0xA9FEA9FE", "0251.0376.0251.0376", "0xa9.254.0251.0xfe", "169.254.43518", "127.1", "0x7f.1",
        "0", "2130706433", "017700000001",
    ],
    "wide and odd letters": ["１６９.２５４.１６９.２５４", "①②⑦.⓪.⓪.①", "169。254。169。254", "127.0.0.1."],
    "in IPv6": [
        f"::ffff:{METADATA}", "::ffff:a9fe:a9fe", "0:0:0:0:0:ffff:7f00:1", f"::{METADATA}", "::7f00:1",
        f"::ffff:0:{METADATA}", f"64:ff9b::{METADATA}", "64:ff9b::7f00:1", f"64:ff9b:1::{METADATA}",
        "64:ff9b:1:a9fe:a9:fe00::", "2002:a9fe:a9fe::1", "2002:7f00:1::", "2001:0:a9fe:a9fe::1",
        "2001:0:808:808:0:0:5601:5601", "2001:db8::5efe:a9fe:a9fe", "2001:db8::200:5efe:7f00:1",
    ],
}  # fmt: skip
REFUSED = ("HOST_NOT_ALLOWED", "NAME_NOT_FOUND")
ALL = [host for hosts in SEEN_BY_ATTACKERS.values() for host in hosts]


def told(host: str, policy: TransportPolicy | None = None, *, port: int = 9) -> str:
    """The code of the fault that stops the first step, empty where it went well."""
    options = SftpOptions(host, port, "erp", host_keys=(), password="x", connect_timeout=2)
    with closing(SftpTransport(options, policy or TransportPolicy())) as transport:
        step = next(iter(transport.open_steps()))
    return step.fault.code if step.fault else ""


@pytest.fixture
def listener() -> Any:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Answers each lookup with the next of the given addresses, as one in an attacker's hands would."""

    def install(*answers: list[str]) -> list[str]:
        asked: list[str] = []

        def answer(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
            asked.append(host)
            chosen = answers[min(len(asked), len(answers)) - 1]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in chosen]

        monkeypatch.setattr(socket, "getaddrinfo", answer)
        return asked

    return install


def test_no_spelling_of_an_address_leads_where_no_erp_can_be():
    # What this machine's resolver does not take for an address is looked up, and is no name either.
    answers = {host: told(host) for host in ALL}

    assert {host: code for host, code in answers.items() if code not in REFUSED} == {}


def test_what_the_resolver_takes_for_an_address_is_refused_as_one():
    taken = [host for host in ALL if host.isascii() and "%" not in host]
    unknown, wrong = [], []
    for host in taken:
        try:
            found = socket.getaddrinfo(host.rstrip("."), 9, type=socket.SOCK_STREAM)
        except OSError:
            unknown.append(host)
            continue
        if not refusal(ipaddress.ip_address(found[0][4][0]), loopback=False) or told(host) != REFUSED[0]:
            wrong.append(host)

    assert wrong == []
    assert unknown == [], "this resolver does not know them: drop them from the list"


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1", "192.168.1.9", "172.16.0.1", "203.0.113.7", "100.64.0.1", "2a00::1", "fd12::1", "64:ff9b::808:808",
     "64:ff9b:1:808:8:800::", "::ffff:10.0.0.1", "2002:808:808::1"],
)  # fmt: skip
def test_an_erp_in_a_company_network_or_behind_a_gateway_is_fine(address):
    assert refusal(ipaddress.ip_address(address), loopback=False) is None


@pytest.mark.parametrize("length", [32, 40, 48, 56, 64, 96])
def test_a_networks_own_nat64_prefix_leads_to_what_it_carries(length):
    prefix = ipaddress.IPv6Network(f"2001:db8:64::/{length}", strict=False)
    carried = int(ipaddress.IPv4Address(METADATA))
    if length == 96:
        number = int(prefix.network_address) + carried
    else:  # as RFC 6052 draws it: eight zeros at bit 64
        joined = int(prefix.network_address) >> 64 << 56 | carried << (88 - length)
        number = joined >> 56 << 64 | joined & (1 << 56) - 1
    address = ipaddress.IPv6Address(number)

    assert METADATA in str(refusal(address, loopback=False, nat64=[prefix]))
    assert refusal(address, loopback=False) is None


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_every_address_has_an_answer_and_carrying_one_changes_none(address):
    plain = refusal(address, loopback=False)

    if isinstance(address, ipaddress.IPv4Address):
        for prefix in ("::ffff:0:0", "64:ff9b::", "::ffff:0:0:0"):
            carried = ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) + int(address))
            assert bool(refusal(carried, loopback=False)) == bool(plain)


def test_this_very_machine_is_refused_unless_a_setting_allows_it(listener):
    port = listener.getsockname()[1]

    assert told("localhost", port=port) == "HOST_NOT_ALLOWED"
    assert (
        told("127.0.0.1", TransportPolicy(sftp_allowed_hosts=("127.0.0.1",)), port=port) == "HOST_NOT_ALLOWED"
    )
    assert told("127.0.0.1", TransportPolicy(sftp_loopback=True), port=port) == ""


def test_another_address_of_this_machine_is_as_loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("203.0.113.1", 9))  # sends nothing; tells which address it would be sent from
        own = probe.getsockname()[0]
    with socket.create_server((own, 0)) as server:
        port = server.getsockname()[1]

        assert told(own, port=port) == "HOST_NOT_ALLOWED"
        assert told(own, TransportPolicy(sftp_loopback=True), port=port) == ""


def test_a_name_that_leads_elsewhere_the_second_time_is_looked_up_once(name_server, listener):
    asked = name_server(["127.0.0.1"], [METADATA])
    policy = TransportPolicy(sftp_allowed_hosts=("erp.example.com",), sftp_loopback=True)

    assert told("erp.example.com", policy, port=listener.getsockname()[1]) == ""
    assert asked == ["erp.example.com"]
    assert told("erp.example.com", policy) == "HOST_NOT_ALLOWED"


@pytest.mark.parametrize("answers", [[METADATA], ["203.0.113.7", METADATA], ["127.0.0.1"]])
def test_a_listed_name_may_not_lead_just_anywhere(name_server, answers, monkeypatch):
    name_server(answers)
    called: list[Any] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: called.append(address))

    assert (
        told("erp.example.com", TransportPolicy(sftp_allowed_hosts=("erp.example.com",)))
        == "HOST_NOT_ALLOWED"
    )
    assert called == []


@pytest.mark.parametrize(
    ("host", "listed"),
    [("ERP.Example.COM.", "erp.example.com"), ("ｅｒｐ.example.com", "erp.example.com"),
     ("bücher.example", "xn--bcher-kva.example"),
     ("10.1.2.3", "10.1.0.0/16"), ("::ffff:10.1.2.3", "10.1.2.3"), ("fd12::7", "[fd12::7]")],
)  # fmt: skip
def test_one_host_has_one_spelling_on_the_list(monkeypatch, host, listed):
    monkeypatch.setattr(socket, "getaddrinfo", _numeric_or_nothing(socket.getaddrinfo))
    monkeypatch.setattr(socket.socket, "connect", _refuse)

    assert told(host, TransportPolicy(sftp_allowed_hosts=(listed,))) == "CONNECTION_REFUSED"


@pytest.mark.parametrize(
    "host",
    ["erp.example.com.evil.test", "еrp.example.com", "evil-erp.example.com", "example.com", "10.2.0.1", "167903745"],
)  # fmt: skip
def test_what_merely_looks_like_a_listed_host_is_not_called(monkeypatch, host):
    monkeypatch.setattr(socket, "getaddrinfo", _numeric_or_nothing(socket.getaddrinfo))
    monkeypatch.setattr(socket.socket, "connect", _refuse)
    names = TransportPolicy(sftp_allowed_hosts=("erp.example.com",))

    assert told(host, names) == "HOST_NOT_ALLOWED"
    assert (
        told(host, TransportPolicy(sftp_allowed_hosts=("erp.example.com", "10.1.0.0/16")))
        == "HOST_NOT_ALLOWED"
    )


@pytest.mark.parametrize(
    "host", ["erp\0.example.com", "erp\x1b[31m", "erp\u202emoc.example", "a" * 64 + ".example", "a..b", "."]
)
def test_what_is_no_name_is_told_as_that_and_never_shown_raw(host):
    options = SftpOptions(host, 22, "erp", host_keys=(), password="x")
    (step,) = SftpTransport(options, TransportPolicy()).open_steps()

    assert step.fault
    assert step.fault.code == "NAME_NOT_FOUND"
    assert step.fault.message.isprintable()


def _numeric_or_nothing(look_up: Callable[..., Any]) -> Callable[..., Any]:
    """Names resolve to a test network's address, numbers to what they are."""

    def answer(host: str, port: int, **options: Any) -> Any:
        try:
            return look_up(host, port, flags=socket.AI_NUMERICHOST, **options)
        except socket.gaierror:
            return look_up("203.0.113.7", port, flags=socket.AI_NUMERICHOST, **options)

    return answer


def _refuse(self: socket.socket, address: object) -> None:
    raise ConnectionRefusedError(111, "Connection refused")
