"""The engine against servers that no real one would be: out of order, in crumbs, lying, silent."""

import struct
from collections import deque

import pytest

from erp_connectors.sftp import operations, wire
from erp_connectors.sftp.errors import ConnectionLost, ProtocolViolation, RequestTimeout, StatusError
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
        self.version, self.sent = version, 0

    def settimeout(self, timeout):
        pass

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
        if kind == wire.FSTAT:
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

    assert pipeline.run(puts(150)) == [20_000] * 150
    assert all(files[b"/%d" % n] == bytes([n % 256]) * 20_000 for n in range(150))


def test_an_error_stays_with_its_file():
    pipeline = Pipeline(Script(honest({})), io_timeout=5)
    tasks = [operations.put(path, b"x", mode=None, sync=False) for path in ("/a", "/denied", "/c")]

    first, second, third = pipeline.run(tasks)

    assert (first, third) == (1, 1)
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
    with pytest.raises(ProtocolViolation, match="version 2"):
        Pipeline(Script(None, version=packet(wire.VERSION, U32.pack(2))), io_timeout=5)


def test_a_session_that_is_over_fails_every_open_file():
    class Closing(Script):
        def recv(self, nbytes):
            return super().recv(nbytes) if self.outgoing else b""

    results = Pipeline(Closing(lambda *_: b""), io_timeout=5).run(puts(100))

    assert {type(result) for result in results} == {ConnectionLost}
