import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.servers.delay_proxy import delay_proxy


@contextmanager
def echo_server() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_echo, args=(listener,), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
    thread.join(5)


def _echo(listener: socket.socket) -> None:
    try:
        connection, _ = listener.accept()
    except OSError:
        return
    with connection:
        while data := connection.recv(1 << 16):
            connection.sendall(data)


@pytest.fixture
def link():
    with (
        echo_server() as port,
        delay_proxy(port, round_trip=0.2) as delayed,
        socket.create_connection(("127.0.0.1", delayed)) as sock,
    ):
        sock.settimeout(10)
        yield sock


def test_an_answer_takes_a_round_trip_and_many_together_hardly_more(link):
    started = time.perf_counter()
    for n in range(100):
        link.sendall(b"%03d." % n)
    received = b""
    while len(received) < 400:
        received += link.recv(400)
    took = time.perf_counter() - started

    assert received == b"".join(b"%03d." % n for n in range(100))
    assert 0.2 <= took < 2


def test_closing_reaches_the_other_side(link):
    link.shutdown(socket.SHUT_WR)

    assert link.recv(10) == b""
