"""A body sent in chunks arrives whole, at each route, directly and through proxies; or it is refused."""

import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import requests

from tests.jobs.processes import World, new_world
from tests.parts import require_program
from tests.servers.gunicorn import gunicorn
from tests.servers.proxies import caddy, nginx

pytestmark = pytest.mark.deep

PASSWORD = "correct horse battery"
MAX_BYTES = 12 * 1024 * 1024
SETUP = """
import json
from tests import factories
org = factories.org()
customer = factories.customer(org)
admin = factories.user(org, factories.Role.ADMIN)
print(json.dumps({"customer": str(customer.pk), "email": admin.email}))
"""
Send = Callable[[str, str, dict[str, str], bytes], tuple[int, bytes]]


def with_curl(method: str, url: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    options = [option for name, value in headers.items() for option in ("-H", f"{name}: {value}")]
    command = [
        require_program("curl"),
        "-sS",
        "-X",
        method,
        "-H",
        "Transfer-Encoding: chunked",
        "-H",
        "Expect:",
    ]
    command += [*options, "--data-binary", "@-", "-w", "\n%{http_code}", url]
    done = subprocess.run(command, input=body, capture_output=True, timeout=60, check=True)
    content, _, status = done.stdout.rpartition(b"\n")
    return int(status), content


def with_requests(method: str, url: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    answer = requests.request(method, url, headers=headers, data=pieces(body), timeout=60)
    return answer.status_code, answer.content


def with_httpx(method: str, url: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    answer = httpx.request(method, url, headers=headers, content=pieces(body), timeout=60, trust_env=False)
    return answer.status_code, answer.content


def with_node(method: str, url: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    told = json.dumps({"method": method, "url": url, "headers": headers})
    command = [require_program("node"), "-e", _NODE, told]
    done = subprocess.run(command, input=body, capture_output=True, timeout=60, check=True)
    status, _, content = done.stdout.partition(b"\n")
    return int(status), content


_NODE = """
const http = require("http"), told = JSON.parse(process.argv[1]);
const request = http.request(told.url, {method: told.method, headers: told.headers}, answer => {
  console.log(answer.statusCode);
  answer.pipe(process.stdout);
});
process.stdin.pipe(request);
"""
CLIENTS: dict[str, Send] = {
    "curl": with_curl, "requests": with_requests, "httpx": with_httpx, "node": with_node,
}  # fmt: skip


def pieces(body: bytes) -> Iterator[bytes]:
    size = max(7, len(body) // 50)
    yield from (body[at : at + size] for at in range(0, len(body), size))


class Site:
    def __init__(self, world: World, ports: dict[str, int], made: dict[str, str]) -> None:
        self.world, self.ports, self.made = world, ports, made
        self.headers = {"Content-Type": "application/json"}
        login = json.dumps({"email": made["email"], "password": PASSWORD}).encode()
        status, content = with_requests("POST", self.url("gunicorn", "auth/login"), self.headers, login)
        assert status == 200, content
        self.headers["Authorization"] = f"Token {json.loads(content)['token']}"

    def url(self, by: str, path: str) -> str:
        return f"http://127.0.0.1:{self.ports[by]}/api/v1/{path}"

    @contextmanager
    def chunked_post(self, path: str) -> Iterator[socket.socket]:
        """Begin a request at gunicorn; its body is left to the caller."""
        with socket.create_connection(("127.0.0.1", self.ports["gunicorn"]), timeout=60) as link:
            given = {**self.headers, "Host": "127.0.0.1", "Transfer-Encoding": "chunked"}
            lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
            link.sendall("\r\n".join([*lines, "", ""]).encode())
            yield link

    def order(self, number: str) -> bytes:
        return json.dumps({"external_order_number": number, "customer": self.made["customer"]}).encode()


@contextmanager
def every_way(folder: Path, port: int) -> Iterator[dict[str, int]]:
    with nginx(folder / "nginx", port) as through_nginx, caddy(folder / "caddy", port) as through_caddy:
        yield {"gunicorn": port, "nginx": through_nginx, "caddy": through_caddy}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("chunked")
    world = new_world(folder)
    done = world.manage("shell", "--no-imports", "-c", SETUP)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout.splitlines()[-1])
    with gunicorn(world) as port, every_way(folder, port) as ports:
        yield Site(world, ports, made)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("way", ["gunicorn", "nginx", "caddy"])
def test_an_order_arrives_as_it_was_sent_and_a_change_changes_it(site: Site, way: str, client: str) -> None:
    send, number = CLIENTS[client], f"PO-{way}-{client}"

    status, content = send("POST", site.url(way, "draft-orders"), site.headers, site.order(number))

    assert status == 201, content
    order = json.loads(content)
    assert order["external_order_number"] == number
    url = site.url(way, f"draft-orders/{order['id']}")
    status, content = send("PATCH", url, site.headers, b'{"notes": "in chunks"}')
    assert (status, json.loads(content)["notes"]) == (200, "in chunks"), content


@pytest.mark.parametrize("way", ["gunicorn", "nginx", "caddy"])
def test_two_bodies_with_one_key_are_two_requests(site: Site, way: str) -> None:
    headers, url = {**site.headers, "Idempotency-Key": str(uuid4())}, site.url(way, "draft-orders")

    first = with_requests("POST", url, headers, site.order(f"A-{way}"))
    again = with_requests("POST", url, headers, site.order(f"A-{way}"))
    other = with_requests("POST", url, headers, site.order(f"B-{way}"))

    assert (first[0], again) == (201, first)
    assert other[0] == 422
    assert "Idempotency-Key" in json.loads(other[1])["error"]["details"]


@pytest.mark.parametrize("way", ["gunicorn", "nginx", "caddy"])
def test_a_form_of_the_admin_and_its_files_arrive(site: Site, way: str) -> None:
    host = f"http://127.0.0.1:{site.ports[way]}"
    # The proxies announce https; nginx names the host without its port, which is 443 in production.
    seen_as = {"gunicorn": host, "nginx": "https://127.0.0.1", "caddy": host.replace("http:", "https:")}
    with requests.Session() as browser:
        page = browser.get(f"{host}/admin/login/", timeout=60)
        token = page.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
        fields = {"csrfmiddlewaretoken": token, "username": site.made["email"], "password": PASSWORD}
        form = requests.Request(
            "POST", host, data=fields, files={"unused": ("a.txt", b"x" * 70_000)}
        ).prepare()
        assert isinstance(form.body, bytes)
        done = browser.post(
            f"{host}/admin/login/",
            data=pieces(form.body),
            headers={
                "Content-Type": str(form.headers["Content-Type"]),
                "Referer": f"{seen_as[way]}/admin/login/",
            },
            allow_redirects=False,
            timeout=60,
        )
    assert done.status_code == 302, done.text


@pytest.mark.parametrize("path", ["/api/v1/draft-orders", "/api/v1/auth/login", "/admin/login/"])
def test_a_body_that_is_too_long_is_refused_and_the_rest_is_not_read(site: Site, path: str) -> None:
    with site.chunked_post(path) as link:
        piece = b"%x\r\n%s\r\n" % (65536, b" " * 65536)
        for _ in range(MAX_BYTES // 65536 + 1):
            link.sendall(piece)
        # The end of the body never comes.
        assert b" 413 " in link.recv(4000).split(b"\r\n")[0]


@pytest.mark.parametrize("way", ["nginx", "caddy"])
def test_a_body_that_is_too_long_is_refused_behind_a_proxy(site: Site, way: str) -> None:
    status, _ = with_curl("POST", site.url(way, "draft-orders"), site.headers, b" " * (MAX_BYTES + 1))

    assert status == 413


@pytest.mark.parametrize("broken", [b"zz\r\nabc\r\n", b"5\r\n{}", b"2\r\n{}garbage\r\n0\r\n\r\n"])
def test_a_body_that_breaks_off_is_no_order(site: Site, broken: bytes) -> None:
    before = requests.get(site.url("gunicorn", "draft-orders"), headers=site.headers, timeout=60).json()
    with site.chunked_post("/api/v1/draft-orders") as link:
        link.sendall(broken)
        link.shutdown(socket.SHUT_WR)
        said = link.recv(4000)
    assert said == b"" or b" 400 " in said.split(b"\r\n")[0], said
    assert (
        requests.get(site.url("gunicorn", "draft-orders"), headers=site.headers, timeout=60).json() == before
    )
