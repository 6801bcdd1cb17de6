"""A server that means harm costs its own connection an attempt: never memory, a thread, a worker or a neighbour."""

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import paramiko
import pytest

from erp_connectors import faults
from erp_connectors.fault_records import english_cause
from erp_connectors.models import AckFile
from erp_connectors.port_types import Upload
from erp_connectors.services.acks.poll import poll
from erp_connectors.sessions import session_pool
from erp_connectors.sftp import wire
from erp_connectors.sftp.hardened_transport import MAX_GREETING, BoundedPacketizer, GuardedTransport
from erp_connectors.sftp.wire import string
from erp_connectors.states import ExportStatus
from erp_connectors.transports.base import TransportPolicy
from erp_connectors.transports.sftp import SftpTransport
from tests.faults.conftest import MakeErp
from tests.servers.hostile_sftp import (
    U32,
    Attacks,
    Files,
    attributes,
    hostile_server,
    named,
    names,
    packet,
    raw_server,
    reply,
    status,
)
from tests.servers.ssh import PASSWORD

pytestmark = pytest.mark.deep

SECONDS, QUICK = 1.0, 0.3
# To read thousands of messages on a busy machine.
PATIENT = 20.0
# What one attempt may take: ten times the longest single wait, connecting and closing included.
DEADLINE = 16 * SECONDS
MEMORY = 150 << 20
HUGE = b"x" * 200_000
EXT_INFO, GLOBAL_REQUEST, CHANNEL_DATA, EXTENDED_DATA, WINDOW_ADJUST = 7, 80, 94, 95, 93
IGNORE, CHANNEL_EOF, CHANNEL_OPEN = 2, 96, 90


@contextmanager
def bounded(seconds: float = DEADLINE) -> Iterator[None]:
    """Within its deadline, without growing, and no thread of ours stays."""
    session_pool.close()
    ours = client_threads()
    before, started = memory_before(), time.monotonic()
    yield
    assert time.monotonic() - started < seconds
    assert memory_peak() - before < MEMORY
    session_pool.close()
    for _ in range(600):
        if client_threads() <= ours:
            return
        time.sleep(0.1)
    assert client_threads() <= ours


def memory_before() -> int:
    """Resident bytes now, from which on the peak is counted anew."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory_peak()


def memory_peak() -> int:
    (line,) = (one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) << 10


def client_threads() -> int:
    return sum(isinstance(one, GuardedTransport) for one in threading.enumerate())


@pytest.fixture
def attacked(tmp_path, erp_at: MakeErp) -> Iterator[Callable[..., Any]]:
    """A connection to a server that does these attacks."""
    running = []

    def make(files: Files | None = None, *, io_timeout: float = SECONDS, **attacks: Any) -> Any:
        server = hostile_server(Attacks(**attacks), root=tmp_path, files=files)
        running.append(server)
        return erp_at(
            server.__enter__(),
            connect_timeout=2 * max(SECONDS, io_timeout),
            io_timeout=io_timeout,
            password=PASSWORD,
        )

    yield make
    for server in running:
        server.__exit__(None, None, None)


REPLIES: dict[str, dict[int, Any]] = {
    "id never asked for": {wire.OPEN: lambda f, r, b: status(r + 77, wire.OK)},
    "answered twice": {
        wire.LSTAT: lambda f, r, b: status(r, 2) * 2,
        wire.OPEN: lambda f, r, b: status(r, 4) * 2,
    },
    "reply of another type": {wire.OPEN: lambda f, r, b: reply(wire.ATTRS, r, attributes(1))},
    "unknown type": {wire.OPEN: lambda f, r, b: reply(77, r)},
    "giant packet": {wire.OPEN: lambda f, r, b: U32.pack(0xFFFFFFF0) + HUGE},
    "empty packet": {wire.OPEN: lambda f, r, b: U32.pack(0) * 100},
    "packet of one byte": {wire.OPEN: lambda f, r, b: packet(wire.STATUS, b"")},
    "huge handle": {wire.OPEN: lambda f, r, b: reply(wire.HANDLE, r, string(b"h" * 10_000))},
    "string beyond its packet": {wire.OPEN: lambda f, r, b: reply(wire.HANDLE, r, U32.pack(1 << 31))},
    "four billion attributes": {
        wire.LSTAT: lambda f, r, b: reply(wire.ATTRS, r, U32.pack(wire.A_EXTENDED) + U32.pack(0xFFFFFFFF))
    },
    "silence": {wire.OPEN: lambda f, r, b: b""},
    "wrong size": {wire.LSTAT: lambda f, r, b: reply(wire.ATTRS, r, attributes((1 << 64) - 1))},
    "refusal in NULs and escapes": {
        wire.OPEN: lambda f, r, b: status(r, 4, b"\0\x1b[2J\xff" + "\u202e".encode() + HUGE)
    },
    "refused as something unknown": {wire.OPEN: lambda f, r, b: status(r, 0xFFFFFFFF, b"?")},
}


@pytest.mark.parametrize("replies", REPLIES.values(), ids=REPLIES)
def test_false_replies_are_told_and_nothing_counts_as_sent(attacked, replies):
    erp = attacked(replies=replies)

    with bounded():
        probed = erp.probed()
        export = erp.delivered()

    assert probed.fault.code in faults.FAULT_KINDS
    assert probed.fault.code != "INTERNAL_ERROR"
    assert export.error_json["code"] in faults.FAULT_KINDS
    assert export.error_json["code"] != "INTERNAL_ERROR"
    message = english_cause(export.error_json)
    assert message.isprintable()
    assert len(message) < 2_000
    assert export.status != ExportStatus.SENT


def zeros(*, every: float) -> Iterator[bytes]:
    for _ in range(1000):
        yield b"\0"
        time.sleep(every)


def test_a_handle_that_would_be_sent_back_with_each_piece_is_refused(attacked):
    erp = attacked(replies={wire.OPEN: lambda f, r, b: reply(wire.HANDLE, r, string(b"h" * 10_000))})

    error = erp.delivered().error_json

    assert (error["code"], "10000 bytes" in english_cause(error)) == ("CONNECTION_LOST", True)


VERSIONS: dict[str, Callable[[], Any]] = {
    "version 2^32": lambda: packet(wire.VERSION, U32.pack(0xFFFFFFFF)),
    "not a version": lambda: packet(77, b"\0\0\0\3"),
    "a megabyte of extensions": lambda: packet(
        wire.VERSION, U32.pack(3) + (string(b"x" * 90) + string(b"")) * 10_000
    ),
    "half an extension": lambda: packet(wire.VERSION, U32.pack(3) + U32.pack(9)),
    "a shell's greeting": lambda: b"Welcome to the server!\n",
    "nothing": lambda: b"",
    "a byte at a time": lambda: zeros(every=0.1),
}


@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
def test_a_false_greeting_of_sftp(attacked, version):
    erp = attacked(version=version)

    with bounded():
        assert erp.probed().fault.code in {
            "SFTP_UNAVAILABLE",
            "CONNECTION_TIMEOUT",
            "CONNECTION_LOST",
            "REMOTE_TIMEOUT",
        }
        assert erp.delivered().status != ExportStatus.SENT


def test_many_odd_extensions_are_not_kept(attacked):
    odd = b"".join(string(b"\0\x1b%d" % n + b"e" * 200) + string(b"1") for n in range(900))
    erp = attacked(version=lambda: packet(wire.VERSION, U32.pack(3) + odd))

    with bounded():
        assert erp.probed().ok
    erp.connection.refresh_from_db()

    text = str(erp.connection.test_report)
    assert len(text) < 20_000
    assert "\\x00" not in text


def flood(kind: int, body: Callable[[Any], bytes], times: int) -> Callable[..., None]:
    """So many messages of a kind as soon as SFTP is asked for, with no regard for anybody's window."""

    def send(transport, channel):
        data = body(channel)
        for _ in range(times):
            transport.send(kind, data)

    return send


def errors_beyond_the_window(times: int) -> Callable[..., None]:
    return flood(
        EXTENDED_DATA, lambda c: U32.pack(c.remote_chanid) + U32.pack(1) + string(b"\0" * 30_000), times
    )


ENDED = {"CONNECTION_LOST", "SFTP_UNAVAILABLE", "REMOTE_TIMEOUT"}
FLOODS = {
    "data beyond the window": flood(
        CHANNEL_DATA, lambda c: U32.pack(c.remote_chanid) + string(b"\0" * 30_000), 12_000
    ),
}
NUISANCES = {
    "errors beyond the window": errors_beyond_the_window(500),
    "window updates": flood(WINDOW_ADJUST, lambda c: U32.pack(c.remote_chanid) + U32.pack(0x7FFFFFFF), 5_000),
    "global requests": flood(GLOBAL_REQUEST, lambda c: string(b"x@example.com") + b"\0", 2_000),
    "ignored messages": flood(IGNORE, lambda c: string(b"x" * 100), 5_000),
    "channels opened by the server": flood(
        CHANNEL_OPEN, lambda c: string(b"session") + U32.pack(9) + U32.pack(1 << 20) + U32.pack(1 << 15), 500
    ),
}


@pytest.mark.parametrize("on_sftp", FLOODS.values(), ids=FLOODS)
def test_a_flood_ends_the_connection_before_it_fills_memory(attacked, on_sftp):
    erp = attacked(on_sftp=on_sftp)

    with bounded():
        assert erp.probed().fault.code in ENDED
        assert erp.delivered().status != ExportStatus.SENT


def test_what_a_server_writes_beside_sftp_is_not_kept():
    channel = paramiko.Channel(1)

    GuardedTransport._channel_handler_table[EXTENDED_DATA](
        channel, paramiko.Message(U32.pack(1) + string(b"x" * 30_000))
    )

    assert len(channel.in_stderr_buffer) == 0


def test_a_flood_that_nobody_reads_fills_no_memory(attacked):
    """Whether it is over before the patience is, depends on the machine: nobody waits for it, and nobody keeps it."""
    erp = attacked(on_sftp=errors_beyond_the_window(12_000))

    with bounded():
        fault = erp.probed().fault
        sent = erp.delivered().status == ExportStatus.SENT

    assert sent or fault is None or fault.code in ENDED


@pytest.mark.parametrize("on_sftp", NUISANCES.values(), ids=NUISANCES)
def test_a_nuisance_stops_no_order(attacked, on_sftp):
    erp = attacked(on_sftp=on_sftp, io_timeout=PATIENT)

    with bounded(16 * PATIENT):
        assert erp.delivered().status == ExportStatus.SENT


def test_data_after_the_end(attacked):
    def end_and_go_on(transport, channel):
        where = U32.pack(channel.remote_chanid)
        transport.send(CHANNEL_EOF, where)
        for _ in range(10):
            transport.send(CHANNEL_DATA, where + string(status(1, wire.OK)))

    erp = attacked(on_sftp=end_and_go_on)

    with bounded():
        assert erp.delivered().status != ExportStatus.SENT


def test_four_billion_ssh_extensions_are_not_counted(attacked):
    erp = attacked(on_keys=lambda transport: transport.send_in_handshake(EXT_INFO, U32.pack(0xFFFFFFFF)))

    with bounded():
        assert erp.probed().fault
        assert erp.delivered().status != ExportStatus.SENT


def pour(*first: bytes, then: bytes) -> Callable[..., None]:
    def talk(client):
        for data in first:
            client.sendall(data)
        for _ in range(20_000):
            client.sendall(then)

    return talk


RAW = {
    "a banner without an end": pour(then=b"x" * 65_536),
    "lines without an end": pour(then=b"hello there\r\n" * 1000),
    "a packet of two gigabytes": pour(b"SSH-2.0-x\r\n", b"\x7f\xff\xff\xf4\x04\x14", then=b"\0" * 65_536),
    "a name of a megabyte": pour(b"SSH-2.0-", b"y" * 1_000_000, b"\r\n", then=b"\0" * 1000),
    "empty packets": pour(b"SSH-2.0-x\r\n", then=b"\0" * 65_536),
}


@pytest.mark.parametrize("talk", RAW.values(), ids=RAW)
def test_what_is_not_ssh_and_never_ends(erp_at, asyncssh, talk):
    with raw_server(talk) as port:
        erp = erp_at(asyncssh, port=port, connect_timeout=SECONDS, io_timeout=SECONDS)
        with bounded():
            fault = erp.probed().fault
            export = erp.delivered()

    assert fault.code in {"HANDSHAKE_FAILED", "SERVER_BUSY", "CONNECTION_TIMEOUT", "CONNECTION_LOST"}
    assert fault.message.isprintable()
    assert len(fault.message) < 2_000
    assert export.status != ExportStatus.SENT


def test_of_a_greeting_without_an_end_little_is_kept():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"x" * 2 * MAX_GREETING)
        with pytest.raises(paramiko.SSHException, match="does not end"):
            BoundedPacketizer(ours).readline(5)


def slowly(kind: int) -> Any:
    def attack(files, request, body):
        answer = files.answer(kind, request, body)
        time.sleep(QUICK * 0.6)
        return answer

    return attack


def test_a_server_that_is_just_quick_enough_each_time_is_not_waited_for_without_end(attacked):
    """A hundred files, each of whose replies comes within the time-out."""
    erp = attacked(io_timeout=QUICK, replies={wire.OPEN: slowly(wire.OPEN)})
    for _ in range(99):
        erp.push()

    with bounded():
        export = erp.delivered()

    assert export.error_json["code"] == "REMOTE_TIMEOUT"


def test_a_listing_that_drips_ends(attacked):
    def drip(files, request, body):
        time.sleep(QUICK * 0.6)
        return names(request, named(b"note%d" % request))

    erp = attacked(io_timeout=QUICK, replies={wire.READDIR: drip})

    with bounded():
        report = poll(erp.connection.pk)

    assert "stopped responding" in report.error


def test_a_listing_of_huge_names_takes_no_memory_and_fills_no_log(attacked, caplog):
    rounds = itertools.count()

    def listing(files, request, body):
        if next(rounds) > 2_000:
            return status(request, wire.EOF)
        return names(request, named(b"ack_" + b"n" * 200_000 + b".json"))

    erp = attacked(io_timeout=DEADLINE, replies={wire.READDIR: listing})
    erp.connection.refresh_from_db()

    with bounded():
        report = poll(erp.connection.pk)

    assert (report.error, report.listed, AckFile.objects.count()) == ("", 0, 0)
    assert len([one for one in caplog.records if "name_refused" in str(one.msg)]) <= 20


@pytest.mark.parametrize(("says", "gives"), [(5, 10**9), (10**9, 5), ((1 << 64) - 1, 5), (0, 10**9)])
def test_lying_sizes_and_a_name_listed_twice(attacked, settings, says, gives):
    """Of an answer that does not end, or not hold what was said, no more than is allowed is read, and it is filed."""
    settings.ACK_MAX_BYTES = 100_000
    name = b"ack_sales_order_00000000_20260101_000000_00000000.json"

    def read(files, request, body):
        return reply(wire.DATA, request, string(b" " * 32_000)) if gives > 5 else None

    erp = attacked(
        Files({f"/ack/{name.decode()}": bytearray(b"12345")}),
        replies={
            wire.LSTAT: lambda f, r, b: reply(wire.ATTRS, r, attributes(says)) if name in b else None,
            wire.READ: read,
            wire.READDIR: lambda f, r, b: (
                names(r, named(name, attributes(says)), named(name, attributes(says)))
                if f.asked < 20
                else status(r, wire.EOF)
            ),
        },
    )

    with bounded():
        reports = [poll(erp.connection.pk) for _ in range(3)]

    assert all("unexpected error" not in report.error for report in reports)
    assert AckFile.objects.count() <= 1


def test_a_folder_that_leads_to_itself(attacked):
    loop = status
    erp = attacked(
        replies={wire.OPENDIR: lambda f, r, b: loop(r, wire.FAILURE, b"Too many levels of symbolic links")}
    )

    with bounded():
        report = poll(erp.connection.pk)

    assert "Too many levels" in report.error


def test_the_neighbours_are_delivered_meanwhile(attacked, erp_at, asyncssh):
    bad = attacked(replies={wire.OPEN: lambda f, r, b: b""}, io_timeout=10)
    transport = SftpTransport(bad.server.options(io_timeout=10), TransportPolicy(sftp_loopback=True))
    transport.open()
    held = threading.Thread(target=lambda: transport.stage([Upload("/in/x.tmp", b"x")]), daemon=True)
    held.start()

    assert erp_at(asyncssh).delivered().status == ExportStatus.SENT
    assert held.is_alive()
    transport.close()
    held.join(60)
    assert not held.is_alive()


def test_a_flood_over_a_kept_session_fills_no_memory(attacked):
    started = threading.Event()

    def later(transport, channel):
        def run():
            if started.is_set():
                return
            started.wait(120)
            with suppress(Exception):
                FLOODS["data beyond the window"](transport, channel)

        threading.Thread(target=run, daemon=True).start()

    erp = attacked(on_sftp=later)
    assert erp.delivered().status == ExportStatus.SENT
    before = memory_before()
    started.set()
    time.sleep(3)

    assert memory_peak() - before < MEMORY
    export = erp.delivered()
    assert export.status == ExportStatus.SENT
