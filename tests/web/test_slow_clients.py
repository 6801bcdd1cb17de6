"""Clients that send or read slowly occupy no thread of the application, and are ended after a time."""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.jobs.processes import ROOT, new_world
from tests.servers.gunicorn import gunicorn
from tests.servers.processes import free_port, running, wait_until_listening
from tests.servers.proxies import caddy, nginx
from tests.servers.tiny_wsgi import LARGE

pytestmark = pytest.mark.deep

BEGUN = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50\r\n"
ORDINARY = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
MANY = 40


class Web:
    def __init__(self, port: int, log: Path) -> None:
        self.port, self.log = port, log

    def connect(self, *, receives: int = 0) -> socket.socket:
        link = socket.socket()
        if receives:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
        link.settimeout(20)
        link.connect(("127.0.0.1", self.port))
        return link

    def ask(self, request: bytes = ORDINARY) -> bytes:
        with self.connect() as link:
            link.sendall(request)
            return read_all(link)

    def seconds_for_an_ordinary_request(self) -> float:
        began = time.monotonic()
        assert self.ask().startswith(b"HTTP/1.1 200")
        return time.monotonic() - began


@contextmanager
def tiny(folder: Path, *options: str, worker: str = "Impatient") -> Iterator[Web]:
    port, log = free_port(), folder / "web.log"
    command = [sys.executable, "-m", "gunicorn", "tests.servers.tiny_wsgi", "--bind", f"127.0.0.1:{port}"]
    command += ["--config", "python:orderflow.gunicorn_conf", "--workers", "1"]
    command += ["--worker-class", f"tests.servers.tiny_wsgi.{worker}", *options]
    env = {**os.environ, "LOG_FORMAT": "json"}
    with (
        log.open("wb") as output,
        running(command, cwd=ROOT, env=env, stdout=output, stderr=output) as process,
    ):
        wait_until_listening(process, port, log=log)
        yield Web(port, log)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with tiny(tmp_path) as started:
        yield started


def read_all(link: socket.socket) -> bytes:
    pieces = []
    while piece := link.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def body_of(answer: bytes) -> bytes:
    """Return it as a client reads it, which goes by its length."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    assert len(rest) == length
    return rest[:length]


@contextmanager
def slow_clients(
    web: Web, sent: bytes, *, many: int = MANY, receives: int = 0
) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        links = [stack.enter_context(web.connect(receives=receives)) for _ in range(many)]
        for link in links:
            link.sendall(sent)
        time.sleep(0.3)
        yield links


SENT = {
    "nothing": b"",
    "half of the headers": BEGUN,
    "no body": BEGUN + b"\r\n",
    "half of the body": BEGUN + b"\r\n{",
    "half of a chunk": BEGUN.replace(b"Content-Length: 50", b"Transfer-Encoding: chunked") + b"\r\n5\r\n{",
}  # fmt: skip


@pytest.mark.parametrize("sent", SENT.values(), ids=SENT)
def test_an_ordinary_request_is_answered_at_once_beside_many_slow_ones(web: Web, sent: bytes) -> None:
    with slow_clients(web, sent) as links:
        assert web.seconds_for_an_ordinary_request() < 5
        answers = [read_all(link) for link in links]

    status = b"HTTP/1.1 408" if sent else b""
    assert {answer[: len(status)] for answer in answers} == {status}
    if b"\r\n\r\n" in sent:
        assert {json.loads(body_of(answer))["error"]["code"] for answer in answers} == {"TIMEOUT"}


def test_a_byte_now_and_then_does_not_keep_a_connection(web: Web) -> None:
    began = time.monotonic()
    with web.connect() as link:
        link.sendall(BEGUN + b"\r\n")
        with pytest.raises(OSError):
            for _ in range(50):
                link.sendall(b" ")
                time.sleep(0.2)
    # A body of 50 bytes would have taken 10 s.
    assert time.monotonic() - began < 5


def test_a_body_that_comes_at_a_good_pace_has_more_time(web: Web) -> None:
    with web.connect() as link:
        link.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 10240\r\n\r\n")
        for _ in range(10):
            link.sendall(b" " * 1024)
            time.sleep(0.2)
        answer = read_all(link)

    assert answer.endswith(b"10240 of 10240")


def test_more_slow_clients_than_there_are_threads_to_read_delay_others_for_seconds_only(
    tmp_path: Path,
) -> None:
    with tiny(tmp_path, "--threads", "16") as web, slow_clients(web, BEGUN + b"\r\n"):
        # Each of them has a thread for a second, and two more until it closes its connection.
        assert web.seconds_for_an_ordinary_request() < (MANY // 16 + 1) * 4


def test_a_client_that_does_not_read_occupies_nothing(web: Web) -> None:
    asked = ORDINARY.replace(b"GET /", b"GET /large")
    with slow_clients(web, asked, receives=4096) as links:
        assert web.seconds_for_an_ordinary_request() < 15
        assert web.seconds_for_an_ordinary_request() < 5
        assert len(read_all(links[0])) < LARGE


def test_a_client_that_does_not_close_delays_no_other(web: Web) -> None:
    with slow_clients(web, ORDINARY):
        assert web.seconds_for_an_ordinary_request() < 5


def test_an_answer_is_passed_on_while_it_is_made(web: Web) -> None:
    with web.connect() as link:
        link.sendall(ORDINARY.replace(b"GET /", b"GET /stream"))
        at = []
        while link.recv(4096):
            at.append(time.monotonic())

    assert at[-1] - at[0] > 0.9


def test_large_bodies_are_few_at_a_time_and_small_ones_go_on(web: Web) -> None:
    head = b"POST /api/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 400000\r\n\r\n"
    small = head.replace(b"400000", b"5") + b"12345"
    with ExitStack() as stack:
        links = [stack.enter_context(web.connect()) for _ in range(10)]
        for link in links:
            link.sendall(head + b" " * 390_000)
        assert web.ask(small).endswith(b"5 of 5")
        answers = [read_all(link)[:12] for link in links]

    assert (answers.count(b"HTTP/1.1 408"), answers.count(b"HTTP/1.1 503")) == (8, 2)
    assert web.ask(head + b" " * 400_000).endswith(b"400000 of 400000")


def test_a_client_that_waits_for_leave_to_send_its_body_gets_it(web: Web) -> None:
    with web.connect() as link:
        link.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\n")
        link.sendall(b"Content-Length: 5\r\n\r\n")
        assert link.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        link.sendall(b"12345")
        answer = read_all(link)

    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"5 of 5")


def test_a_body_that_breaks_off_reaches_no_application(web: Web) -> None:
    with web.connect() as link:
        link.sendall(BEGUN + b"\r\n{")
        link.shutdown(socket.SHUT_WR)
        assert read_all(link) == b""


def test_several_requests_on_one_connection_stay_apart(web: Web) -> None:
    one = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345"
    with web.connect() as link:
        link.sendall(one + one.replace(b"5", b"4", 1).replace(b"12345", b"1234") + ORDINARY)
        answer = read_all(link)

    assert [part for part in (b"5 of 5", b"4 of 4", b"0 of ?") if part in answer] == [
        b"5 of 5",
        b"4 of 4",
        b"0 of ?",
    ]


def test_a_worker_with_a_request_that_hangs_is_replaced(tmp_path: Path) -> None:
    with tiny(tmp_path, "--timeout", "2", "--graceful-timeout", "1") as web, web.connect() as link:
        link.sendall(ORDINARY.replace(b"GET /", b"GET /hang"))
        assert read_all(link) == b""
        deadline = time.monotonic() + 20
        while web.log.read_text().count("Booting worker") < 2:
            assert time.monotonic() < deadline, web.log.read_text()
            time.sleep(0.1)
        assert web.seconds_for_an_ordinary_request() < 5

    said = web.log.read_text()
    assert "GET /hang runs for over 2 s" in said
    assert "time.sleep(600)" in said  # where it hangs


def test_a_reload_finishes_what_has_begun(tmp_path: Path) -> None:
    with tiny(tmp_path) as web, web.connect() as link:
        link.sendall(ORDINARY.replace(b"GET /", b"GET /stream"))
        assert link.recv(4096)
        (master,) = {line for line in web.log.read_text().splitlines() if "Starting gunicorn" in line}
        os.kill(int(master.rpartition('"pid": ')[2].rstrip("}")), signal.SIGHUP)
        assert b"2\n" in read_all(link)


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Web]]:
    """The product in one worker process, directly and behind the proxies as they are shipped."""
    folder = tmp_path_factory.mktemp("ways")
    world = new_world(folder)
    with (
        gunicorn(world, "--workers", "1", "--timeout", "60") as port,
        # All come from one address here.
        nginx(folder / "nginx", port, limit_conn="addresses 1000") as through_nginx,
        caddy(folder / "caddy", port) as through_caddy,
    ):
        ports = {"gunicorn": port, "nginx": through_nginx, "caddy": through_caddy}
        yield {name: Web(port, folder / "web.log") for name, port in ports.items()}


# More than a worker has threads of both kinds. Behind a proxy they reach none; else those that read end them.
@pytest.mark.parametrize(("way", "seconds"), [("nginx", 2), ("caddy", 2), ("gunicorn", 13)])
@pytest.mark.parametrize("sent", ["half of the headers", "half of the body", "half of a chunk"])
def test_the_product_answers_beside_150_slow_clients(
    ways: dict[str, Web], way: str, seconds: int, sent: str
) -> None:
    ask = ORDINARY.replace(b"GET /", b"GET /admin/login/")
    assert ways[way].ask(ask).startswith(b"HTTP/1.1 200")
    with slow_clients(ways[way], SENT[sent], many=150):
        began = time.monotonic()
        assert ways[way].ask(ask).startswith(b"HTTP/1.1 200")
        assert time.monotonic() - began < seconds


def test_one_address_has_a_limited_number_of_requests_under_way(tmp_path: Path) -> None:
    with tiny(tmp_path) as web, nginx(tmp_path / "nginx", web.port) as port:
        through = Web(port, web.log)
        with slow_clients(through, SENT["half of the body"], many=100):
            assert through.ask().startswith(b"HTTP/1.1 429")
        time.sleep(0.5)
        assert through.ask().startswith(b"HTTP/1.1 200")
