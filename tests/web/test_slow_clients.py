"""Clients that send or read slowly occupy no thread of the application, and are ended after a time."""

import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from orderflow import gunicorn_conf
from tests.jobs.processes import ROOT, new_world
from tests.servers.gunicorn import gunicorn
from tests.servers.processes import free_port, running, wait_until_listening
from tests.servers.proxies import caddy, nginx
from tests.servers.tiny_wsgi import LARGE

pytestmark = pytest.mark.deep

BEGUN = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50\r\n"
ORDINARY = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
ASKS_FOR_LARGE = ORDINARY.replace(b"GET /", b"GET /large")
ASKS_FOR_STREAM = ORDINARY.replace(b"GET /", b"GET /stream")
LARGE_BODY = (
    b"POST /api/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 400000\r\n\r\n" + b" " * 400_000
)
MANY = 40


class Web:
    def __init__(self, port: int, log: Path) -> None:
        self.port, self.log = port, log
        self.go_on = log.parent / "go on"

    def connect(self, *, receives: int = 0) -> socket.socket:
        link = socket.socket()
        if receives:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
        link.settimeout(60)
        link.connect(("127.0.0.1", self.port))
        return link

    def ask(self, request: bytes = ORDINARY) -> bytes:
        with self.connect() as link:
            link.sendall(request)
            return read_all(link)

    def answers(self) -> bool:
        """Return whether it answers an ordinary request, and one that it gets after all that earlier clients sent."""
        return all(self.ask().startswith(b"HTTP/1.1 200") for _ in range(2))

    def workers_booted(self) -> int:
        return self.log.read_text().count("Booting worker")


@contextmanager
def tiny(folder: Path, *options: str, worker: str = "Impatient") -> Iterator[Web]:
    port, log = free_port(), folder / "web.log"
    web = Web(port, log)
    # The usual limit of open files.
    command = ["sh", "-c", 'ulimit -Sn 1024; exec "$@"', "sh", sys.executable, "-m", "gunicorn"]
    command += ["tests.servers.tiny_wsgi", "--bind", f"127.0.0.1:{port}"]
    command += ["--config", "python:orderflow.gunicorn_conf", "--workers", "1"]
    command += ["--worker-class", f"tests.servers.tiny_wsgi.{worker}", *options]
    env = {**os.environ, "LOG_FORMAT": "json", "GO_ON": str(web.go_on)}
    with (
        log.open("wb") as output,
        running(command, cwd=ROOT, env=env, stdout=output, stderr=output) as process,
    ):
        wait_until_listening(process, port, log=log)
        yield web


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with tiny(tmp_path) as started:
        yield started


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Web]:
    """It ends no slow client, so what it does meanwhile does not depend on the machine's speed."""
    with tiny(tmp_path, worker="Patient") as started:
        yield started


def read_all(link: socket.socket) -> bytes:
    pieces = []
    while piece := link.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def read_until(link: socket.socket, wanted: bytes) -> None:
    said = b""
    while wanted not in said:
        piece = link.recv(4096)
        assert piece, said
        said += piece


def body_of(answer: bytes) -> bytes:
    """Return it as a client reads it, which goes by its length."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    assert len(rest) == length
    return rest[:length]


def answered(links: Sequence[socket.socket]) -> list[socket.socket]:
    """Return those that have got an answer, or whose connection the server has ended."""
    return select.select(links, [], [], 0)[0]


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def slow_clients(
    web: Web, sent: bytes, *, many: int = MANY, receives: int = 0
) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        links = [stack.enter_context(web.connect(receives=receives)) for _ in range(many)]
        for link in links:
            link.sendall(sent)
        yield links


SENT = {
    "nothing": b"",
    "half of the headers": BEGUN,
    "no body": BEGUN + b"\r\n",
    "half of the body": BEGUN + b"\r\n{",
    "half of a chunk": BEGUN.replace(b"Content-Length: 50", b"Transfer-Encoding: chunked") + b"\r\n5\r\n{",
}  # fmt: skip


@pytest.mark.parametrize("sent", SENT.values(), ids=SENT)
def test_ordinary_requests_are_answered_while_many_slow_clients_send(patient: Web, sent: bytes) -> None:
    with slow_clients(patient, sent) as links:
        assert patient.answers()
        assert answered(links) == []


@pytest.mark.parametrize("sent", SENT.values(), ids=SENT)
def test_a_slow_client_is_ended_after_a_time(web: Web, sent: bytes) -> None:
    with slow_clients(web, sent) as links:
        answers = [read_all(link) for link in links]

    status = b"HTTP/1.1 408" if sent else b""
    assert {answer[: len(status)] for answer in answers} == {status}
    if b"\r\n\r\n" in sent:
        assert {json.loads(body_of(answer))["error"]["code"] for answer in answers} == {"TIMEOUT"}


def test_a_byte_now_and_then_does_not_keep_a_connection(web: Web) -> None:
    with web.connect() as link:
        link.sendall(BEGUN + b"\r\n")
        # Five seconds; a body of 50 bytes would take ten.
        with pytest.raises(OSError):
            for _ in range(25):
                link.sendall(b" ")
                time.sleep(0.2)


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
        began = time.monotonic()
        assert web.ask().startswith(b"HTTP/1.1 200")
        # Each of them has a thread for a second, and two more until it closes its connection.
        assert time.monotonic() - began < (MANY // 16 + 1) * 4


def test_ordinary_requests_are_answered_while_many_clients_do_not_read(patient: Web) -> None:
    with slow_clients(patient, ASKS_FOR_LARGE, receives=4096) as links:
        assert patient.answers()
        # None was given up: all of its answer is still there.
        assert {len(body_of(read_all(link))) for link in links} == {LARGE}


def test_a_client_that_does_not_read_is_ended_after_a_time(web: Web) -> None:
    with web.connect(receives=4096) as link:
        link.sendall(ASKS_FOR_LARGE)
        time.sleep(5)
        assert len(read_all(link)) < LARGE


def test_a_client_that_does_not_close_delays_no_other(patient: Web) -> None:
    with slow_clients(patient, ORDINARY) as links:
        assert {read_all(link)[:12] for link in links} == {b"HTTP/1.1 200"}
        assert patient.answers()


def test_an_answer_is_passed_on_while_it_is_made(patient: Web) -> None:
    with patient.connect() as link:
        link.sendall(ASKS_FOR_STREAM)
        read_until(link, b"first\n")
        patient.go_on.touch()
        read_until(link, b"second\n")


def test_large_bodies_are_few_at_a_time_and_small_ones_go_on(patient: Web) -> None:
    small = LARGE_BODY.rstrip(b" ").replace(b"400000", b"5") + b"12345"
    with slow_clients(patient, LARGE_BODY[:-10_000], many=10) as links:
        wait_until(lambda: len(answered(links)) >= 2)
        assert patient.ask(small).endswith(b"5 of 5")
        refused = answered(links)
        assert [link.recv(12) for link in refused] == [b"HTTP/1.1 503"] * 2
        received = [link for link in links if link not in refused]
        for link in received:
            link.sendall(b" " * 10_000)
            assert read_all(link).endswith(b"400000 of 400000")
    assert patient.ask(LARGE_BODY).endswith(b"400000 of 400000")


def test_large_bodies_that_come_too_slowly_make_place_for_others(web: Web) -> None:
    with slow_clients(web, LARGE_BODY[:-10_000], many=8) as links:
        assert {read_all(link)[:12] for link in links} == {b"HTTP/1.1 408"}
    assert web.ask(LARGE_BODY).endswith(b"400000 of 400000")


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let the test hold more connections than a web process has file descriptors."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, limits[1]) if limits[1] > 0 else 4096, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.usefixtures("many_files")
def test_a_process_has_files_left_when_it_has_as_many_clients_as_it_accepts(patient: Web) -> None:
    """Each answer that waits for its client needs a second file. A lack of files would end the process."""
    with slow_clients(patient, ASKS_FOR_LARGE, receives=4096) as links:
        with slow_clients(patient, b"", many=1000):
            assert {len(body_of(read_all(link))) for link in links} == {LARGE}
        assert patient.answers()

    assert "Too many open files" not in patient.log.read_text()
    assert patient.workers_booted() == 1


@pytest.mark.parametrize(("limit", "starts"), [("-Sn 256", True), ("-n 1000", False)])
def test_a_low_limit_of_open_files_is_raised_or_refused(limit: str, *, starts: bool) -> None:
    shown = 'ulimit -Sn; exec "$@"'
    code = "import orderflow.gunicorn_conf, resource; print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    command = ["sh", "-c", f"ulimit {limit}; {shown}", "sh", sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode == 0) is starts
    assert done.stdout.split()[1:] == (["1024"] if starts else [])
    assert ("LimitNOFILE" in done.stderr) is not starts


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
        wait_until(lambda: web.workers_booted() == 2)
        assert web.answers()

    said = web.log.read_text()
    assert "GET /hang runs for over 2 s" in said
    assert "time.sleep(600)" in said  # where it hangs


def test_a_reload_finishes_what_has_begun(tmp_path: Path) -> None:
    with tiny(tmp_path) as web, web.connect() as link:
        link.sendall(ASKS_FOR_STREAM)
        read_until(link, b"first\n")
        (master,) = {line for line in web.log.read_text().splitlines() if "Starting gunicorn" in line}
        os.kill(int(master.rpartition('"pid": ')[2].rstrip("}")), signal.SIGHUP)
        wait_until(lambda: web.workers_booted() == 2)
        web.go_on.touch()
        read_until(link, b"second\n")


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Web]]:
    """The product in one worker process, directly and behind the proxies as they are shipped."""
    folder = tmp_path_factory.mktemp("ways")
    world = new_world(folder)
    with (
        gunicorn(world, "--workers", "1", "--timeout", "60") as port,
        # All come from one address here. No proxy ends a slow client while a test runs.
        nginx(
            folder / "nginx",
            port,
            limit_conn="addresses 1000",
            client_header_timeout="1h",
            client_body_timeout="1h",
        ) as through_nginx,
        caddy(folder / "caddy", port, read_header="1h", read_body="1h") as through_caddy,
    ):
        ports = {"gunicorn": port, "nginx": through_nginx, "caddy": through_caddy}
        yield {name: Web(port, folder / "web.log") for name, port in ports.items()}


# More than a worker has threads of both kinds. Behind a proxy they reach none, and others need not wait until one is
# ended. Without one, others wait until those that hold the threads are ended, and for none that came after these.
@pytest.mark.parametrize(("way", "ended"), [("nginx", 0), ("caddy", 0), ("gunicorn", gunicorn_conf.threads)])
@pytest.mark.parametrize("sent", ["half of the headers", "half of the body", "half of a chunk"])
def test_the_product_answers_beside_150_slow_clients(
    ways: dict[str, Web], way: str, ended: int, sent: str
) -> None:
    ask = ORDINARY.replace(b"GET /", b"GET /admin/login/")
    assert ways[way].ask(ask).startswith(b"HTTP/1.1 200")
    with slow_clients(ways[way], SENT[sent], many=150) as links:
        assert ways[way].ask(ask).startswith(b"HTTP/1.1 200")
        assert len(answered(links)) <= ended


def test_one_address_has_a_limited_number_of_requests_under_way(tmp_path: Path) -> None:
    with tiny(tmp_path) as web, nginx(tmp_path / "nginx", web.port) as port:
        through = Web(port, web.log)
        with slow_clients(through, SENT["half of the body"], many=100):
            wait_until(lambda: through.ask().startswith(b"HTTP/1.1 429"))
        wait_until(lambda: through.ask().startswith(b"HTTP/1.1 200"))
