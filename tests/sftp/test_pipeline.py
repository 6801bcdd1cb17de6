"""The engine against servers that no real one would be: out of order, in crumbs, lying, silent."""

import struct
from collections import deque

import pytest

from erp_connectors.sftp import operations, wire
from erp_connectors.sftp.errors import (
    ConnectionLost,
    ProtocolViolation,
    RequestTimeout,
    SftpVersionUnsupported,
    StatusError,
)
from erp_connectors.sftp.pipeline import BYTES_IN_FLIGHT, Pipeline

U32 = struct.Struct(">I")


def packet(kind, body):
    return U32.pack(len(body) + 1) + bytes([kind]) + body


VERSION = packet(wire.VERSION, U32.pack(3))


class Script:
    """A stream whose answers to each request are made by ``answer(kind, id, body)``, sent in pieces of ``crumb``."""

    def __init__(self, answer, *, crumb=1 << 20, reorder=False, version=VERSION):
        self.answer, self.crumb, self.reorder = answer, crumb, reorder
        self.incoming, self.batch = bytearray(), []
        self.outgoing: deque[bytes] = deque()
        self.version, self.sent, self.closed = version, 0, False

    def settimeout(self, timeout):
        pass

    def close(self):
        self.closed = True

    def sendall(self, data):
        self.incoming += data
        self.sent += len(data)
        while len(self.incoming) >= 4:
            length = U32.unpack_from(self.incoming)[0]
            if len(self.incoming) < 4 + length:
                break
            request = bytes(self.incoming[4 : 4 + length])
            del self.incoming[: 4 + length]
            if request[0] == wire.INIT:
                self._reply(self.version)
            else:
                self.batch.append(self.answer(request[0], request[1:5], request[5:]))
        if self.reorder:
            self.batch.reverse()
        for reply in self.batch:
            self._reply(reply)
        self.batch = []

    def _reply(self, data):
        self.outgoing.extend(data[i : i + self.crumb] for i in range(0, len(data), self.crumb))

    def recv(self, nbytes):
        if not self.outgoing:
            raise TimeoutError
        return self.outgoing.popleft()


def status(request_id, code, text="no"):
    return packet(wire.STATUS, request_id + U32.pack(code) + wire.string(text) + wire.string(""))


def honest(files):
    """A server that keeps whole files under their handle, which is their path."""

    def answer(kind, request_id, body):
        reader = wire.Reader(body)
        name = reader.string()
        if kind == wire.OPEN:
            if b"denied" in name:
                return status(request_id, wire.PERMISSION_DENIED)
            files[name] = bytearray()
            return packet(wire.HANDLE, request_id + wire.string(name))
        if kind == wire.WRITE:
            offset, data = reader.u64(), reader.string()
            files[name][offset : offset + len(data)] = data
        if kind == wire.LSTAT:
            return packet(
                wire.ATTRS, request_id + U32.pack(wire.A_SIZE) + struct.pack(">Q", len(files[name]))
            )
        return status(request_id, wire.OK, "")

    return answer


def puts(count, size=20_000):
    return [operations.put(f"/{n}", bytes([n % 256]) * size, mode=None, sync=False) for n in range(count)]


@pytest.mark.parametrize(("crumb", "reorder"), [(1 << 20, False), (1, False), (7, True), (1 << 20, True)])
def test_order_and_size_of_the_answers_do_not_matter(crumb, reorder):
    files: dict[bytes, bytearray] = {}
    pipeline = Pipeline(Script(honest(files), crumb=crumb, reorder=reorder), io_timeout=5)

    assert [file.look.size for file in pipeline.run(puts(150))] == [20_000] * 150
    assert all(files[b"/%d" % n] == bytes([n % 256]) * 20_000 for n in range(150))


def test_an_error_stays_with_its_file():
    pipeline = Pipeline(Script(honest({})), io_timeout=5)
    tasks = [operations.put(path, b"x", mode=None, sync=False) for path in ("/a", "/denied", "/c")]

    first, second, third = pipeline.run(tasks)

    assert (first.look.size, third.look.size) == (1, 1)
    assert isinstance(second, StatusError)
    assert second.code == wire.PERMISSION_DENIED


def test_a_write_that_fails_fails_its_file_although_the_rest_is_fine():
    files: dict[bytes, bytearray] = {}
    good = honest(files)

    def full(kind, request_id, body):
        return (
            status(request_id, wire.FAILURE, "disk") if kind == wire.WRITE else good(kind, request_id, body)
        )

    (result,) = Pipeline(Script(full), io_timeout=5).run(puts(1, size=100_000))

    assert isinstance(result, StatusError)


def test_bytes_in_flight_are_bounded():
    script = Script(lambda kind, request_id, body: b"")
    pipeline = Pipeline(script, io_timeout=5)
    handles = iter(range(10))

    def never_acknowledges(kind, request_id, body):
        if kind == wire.OPEN:
            return packet(wire.HANDLE, request_id + wire.string(str(next(handles))))
        return b""

    script.answer = never_acknowledges
    (result,) = pipeline.run([operations.put("/a", bytes(20 << 20), mode=None, sync=False)])

    assert isinstance(result, RequestTimeout)
    assert script.sent < 2 * BYTES_IN_FLIGHT


@pytest.mark.parametrize(
    "reply",
    [
        U32.pack(0x7FFFFFFF) + b"x" * 100,
        U32.pack(0),
        packet(wire.STATUS, b"\0\0\xff\xff" + U32.pack(0)),
        packet(wire.STATUS, b"\0"),
        packet(wire.NAME, b"\0\0\0\1" + U32.pack(0xFFFFFFFF)),
        packet(250, b"\0\0\0\1"),
    ],
    ids=["huge", "empty", "unknown id", "short", "endless names", "unknown type"],
)
def test_a_lying_server_ends_the_session_and_no_more(reply):
    pipeline = Pipeline(Script(lambda kind, request_id, body: reply), io_timeout=5)

    (result,) = pipeline.run([operations.lstat("/a")])

    assert isinstance(result, ProtocolViolation)


def test_silence_ends_at_the_deadline():
    (result,) = Pipeline(Script(lambda *_: b""), io_timeout=5).run([operations.lstat("/a")])

    assert isinstance(result, RequestTimeout)


def test_crumbs_without_end_are_no_progress():
    clock = iter(range(0, 10_000, 2))
    script = Script(lambda *_: U32.pack(200_000) + bytes(200_000), crumb=1)
    pipeline = Pipeline(script, io_timeout=30, clock=lambda: next(clock))

    (result,) = pipeline.run([operations.lstat("/a")])

    assert isinstance(result, RequestTimeout)


def test_another_protocol_version_is_refused():
    with pytest.raises(SftpVersionUnsupported, match="version 2"):
        Pipeline(Script(None, version=packet(wire.VERSION, U32.pack(2))), io_timeout=5)


def test_a_session_that_is_over_fails_every_open_file():
    class Closing(Script):
        def recv(self, nbytes):
            return super().recv(nbytes) if self.outgoing else b""

    results = Pipeline(Closing(lambda *_: b""), io_timeout=5).run(puts(100))

    assert {type(result) for result in results} == {ConnectionLost}


def reading(content, *, part=1 << 20):
    """A server that holds one file and gives at most ``part`` bytes of it at a time."""

    def answer(kind, request_id, body):
        reader = wire.Reader(body)
        if kind == wire.OPEN:
            return packet(wire.HANDLE, request_id + wire.string("h"))
        if kind == wire.READ:
            reader.string()
            offset, length = reader.u64(), reader.u32()
            piece = content[offset : offset + min(length, part)]
            return (
                packet(wire.DATA, request_id + wire.string(piece)) if piece else status(request_id, wire.EOF)
            )
        return status(request_id, wire.OK, "")

    return answer


@pytest.mark.parametrize("part", [1 << 20, 5_000, 700])
@pytest.mark.parametrize("told", [200_001, 0, None, 10, 400_000])
def test_a_file_is_read_whole_whatever_its_size_was_said_to_be(part, told):
    content = bytes(range(256)) * 782
    content = content[:200_001]
    pipeline = Pipeline(Script(reading(content, part=part)), io_timeout=5)

    assert pipeline.run([operations.read("/a", size=told, max_bytes=1 << 20)]) == [content]


def test_a_small_file_whose_size_is_known_costs_two_round_trips():
    asked = []
    answer = reading(b"x" * 300)

    def noted(kind, request_id, body):
        asked.append(kind)
        return answer(kind, request_id, body)

    Pipeline(Script(noted), io_timeout=5).run([operations.read("/a", size=300, max_bytes=1000)])

    assert asked == [wire.OPEN, wire.READ, wire.CLOSE]


def test_a_file_handed_out_in_crumbs_is_given_up():
    pipeline = Pipeline(Script(reading(bytes(1 << 20), part=1)), io_timeout=5)

    (result,) = pipeline.run([operations.read("/a", size=1 << 20, max_bytes=1 << 20)])

    assert isinstance(result, ProtocolViolation)


def test_more_than_was_asked_for_is_not_kept():
    pipeline = Pipeline(Script(reading_too_much), io_timeout=5)

    assert pipeline.run([operations.read("/a", size=5, max_bytes=100)]) == [None]


def reading_too_much(kind, request_id, body):
    if kind == wire.OPEN:
        return packet(wire.HANDLE, request_id + wire.string("h"))
    if kind == wire.READ:
        return packet(wire.DATA, request_id + wire.string(bytes(50_000)))
    return status(request_id, wire.OK, "")


@pytest.mark.parametrize(
    "task",
    [
        lambda: operations.put("/a", b"x", mode=None, sync=False),
        lambda: operations.read("/a", size=None, max_bytes=10),
        lambda: operations.lstat("/a"),
        lambda: operations.is_folder("/a"),
        lambda: operations.open_folder("/a"),
    ],
)
def test_a_reply_of_another_kind_ends_the_session(task):
    pipeline = Pipeline(Script(lambda kind, request_id, body: status(request_id, wire.OK)), io_timeout=5)

    (result,) = pipeline.run([task()])

    assert isinstance(result, ProtocolViolation)


def test_a_session_that_ended_says_why_to_whoever_comes_later():
    pipeline = Pipeline(Script(lambda *_: b""), io_timeout=5)
    pipeline.run([operations.lstat("/a")])

    (later,) = pipeline.run([operations.lstat("/b")])

    assert isinstance(later, RequestTimeout)


def test_no_more_files_are_open_than_the_server_allows():
    open_now, most = set(), []
    files: dict[bytes, bytearray] = {}
    good = honest(files)

    def answer(kind, request_id, body):
        if kind == wire.EXTENDED:
            return packet(wire.EXTENDED_REPLY, request_id + struct.pack(">QQQQ", 0, 0, 0, 8))
        name = wire.Reader(body).string()
        if kind == wire.OPEN:
            open_now.add(name)
        if kind == wire.CLOSE:
            most.append(len(open_now))
            open_now.discard(name)
        return good(kind, request_id, body)

    offers_limits = packet(wire.VERSION, U32.pack(3) + wire.string(wire.LIMITS) + wire.string("1"))
    pipeline = Pipeline(Script(answer, version=offers_limits), io_timeout=5)
    pipeline.run(puts(1))
    pipeline.run(puts(50), files_open=64)

    assert len(files) == 50
    assert max(most) == 4
