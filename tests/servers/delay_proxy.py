"""A link with a round trip time, on loopback: every byte is held back for half of it, none is lost or slowed down.

A process of its own, so that its work is not measured along with the program under test.
"""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.servers.processes import running

BYTES_HELD = 64 << 20
CLOSED = b""


@contextmanager
def delay_proxy(port: int, *, round_trip: float) -> Iterator[int]:
    """The port to connect to instead of ``port``; ``round_trip`` in seconds."""
    command = [sys.executable, "-m", __name__, str(port), str(round_trip)]
    with running(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        with process.stdout:
            yield int(process.stdout.readline())


async def _serve(target: int, delay: float) -> None:
    async def joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            writer.close()
            return
        for one in (writer, there_writer):
            one.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.gather(_carry(reader, there_writer, delay), _carry(there_reader, writer, delay))
        for one in (writer, there_writer):
            one.close()

    server = await asyncio.start_server(joined, "127.0.0.1", 0, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    loop, held = asyncio.get_running_loop(), asyncio.Queue[tuple[float, bytes]](maxsize=BYTES_HELD >> 16)
    deliverer = asyncio.create_task(_deliver(held, writer))
    data = b"begin"
    while data:
        try:
            data = await reader.read(1 << 16)
        except OSError:
            data = CLOSED
        await held.put((loop.time() + delay, data))
    await deliverer


async def _deliver(held: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter) -> None:
    loop, gone = asyncio.get_running_loop(), False
    while True:
        due, data = await held.get()
        if due > loop.time():
            await asyncio.sleep(due - loop.time())
        if data == CLOSED:
            _end(writer)
            return
        try:
            if not gone:
                writer.write(data)
                await writer.drain()
        except OSError:
            gone = True


def _end(writer: asyncio.StreamWriter) -> None:
    """One direction only: what is still on its way back arrives."""
    with suppress(OSError):
        writer.write_eof()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2]) / 2))
