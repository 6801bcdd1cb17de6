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


def test_what_is_on_its_way_back_arrives_after_one_side_has_closed(link):
    link.sendall(b"last words")
    link.shutdown(socket.SHUT_WR)

    received = b""
    while part := link.recv(100):
        received += part
    assert received == b"last words"


def test_bytes_are_late_but_not_slowed_down(link):
    """Were a new piece sent only when the last had arrived, these would take a minute and more."""
    sent = bytes(range(256)) * 80_000
    sender = threading.Thread(target=link.sendall, args=(sent,), daemon=True)
    started = time.perf_counter()
    sender.start()
    received = bytearray()
    while len(received) < len(sent):
        received += link.recv(1 << 18)
    took = time.perf_counter() - started

    assert received == sent
    round_trips_one_by_one = len(sent) / (1 << 16) * 0.2
    assert 0.2 <= took < round_trips_one_by_one / 4


def test_a_server_that_is_not_there_closes_the_link():
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with (
        delay_proxy(port, round_trip=0.01) as delayed,
        socket.create_connection(("127.0.0.1", delayed), timeout=10) as sock,
    ):
        assert sock.recv(10) == b""
