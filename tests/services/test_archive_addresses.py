"""The archive's client connects to no address that the policy refuses, whatever its endpoint's name leads to."""

import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from erp_connectors import archive
from erp_connectors.archive import ArchiveUnavailable, Copy
from orderflow import archive_settings
from orderflow import settings as deployed
from tests.services.test_archive import storages_of

METADATA = "169.254.169.254"
REDIRECT = (
    b"<Error><Code>PermanentRedirect</Code><Message>elsewhere</Message><Bucket>b</Bucket>"
    b"<Endpoint>s3.eu-central-1.amazonaws.com</Endpoint></Error>"
)


class Names:
    """What names lead to; and each address that a socket was connected to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.known: dict[str, list[tuple[str, int]]] = {}
        self.connected: list[str] = []
        look_up, connect = socket.getaddrinfo, socket.socket.connect

        def answer(host: Any, port: Any, *args: Any, **options: Any) -> Any:
            places = self.known.get(host)
            if places is None:
                return look_up(host, port, *args, **options)
            # The last one stays.
            place = places.pop(0) if len(places) > 1 else places[0]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place)]

        def note(sock: socket.socket, address: Any) -> None:
            self.connected.append(address[0])
            connect(sock, address)

        monkeypatch.setattr(socket, "getaddrinfo", answer)
        monkeypatch.setattr(socket.socket, "connect", note)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    return Names(monkeypatch)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the archive be as the settings make it from these variables."""

    def make(options: dict[str, Any] | None = None, **environment: str) -> None:
        keys = {"S3_BUCKET": "exports", "S3_ACCESS_KEY_ID": "a", "S3_SECRET_ACCESS_KEY": "b"}
        for name, value in {**keys, **environment}.items():
            monkeypatch.setenv(name, value)
        backend = archive_settings.storage(deployed.VAR)
        backend["OPTIONS"] |= options or {}
        monkeypatch.setattr(archive, "storages", storages_of({"exports": backend}))

    return make


@pytest.fixture
def redirecting() -> Iterator[int]:
    """An S3 server that says that the bucket is in another region."""

    class Elsewhere(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(301)
            self.send_header("x-amz-bucket-region", "eu-central-1")
            self.send_header("Content-Length", str(len(REDIRECT)))
            self.end_headers()
            self.wfile.write(REDIRECT)

        do_HEAD = do_GET = do_PUT  # noqa: N815

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_name_that_leads_to_credentials_is_not_connected_to(names: Names, store: Any, scheme: str) -> None:
    names.known["s3.example.com"] = [(METADATA, 80)]
    store(S3_ENDPOINT_URL=f"{scheme}://s3.example.com")

    (error,) = archive.put_all([Copy("exports/o/a.json", b"x")])

    assert isinstance(error, ArchiveUnavailable)
    assert f"s3.example.com is {METADATA}: the address is link-local" in str(error)
    assert names.connected == []


def test_the_address_that_was_checked_is_the_one_connected_to(names: Names, store: Any, s3: Any) -> None:
    """Each connection looks the name up once: no second answer is connected to unchecked."""
    here = ("127.0.0.1", int(s3.endpoint.rpartition(":")[2]))
    names.known["s3.example.com"] = [here, (METADATA, 80)]
    keys = {"S3_ACCESS_KEY_ID": s3.access_key, "S3_SECRET_ACCESS_KEY": s3.secret_key}
    store(S3_ENDPOINT_URL="http://s3.example.com", **keys)

    assert archive.put_all([Copy("exports/o/rebound.json", b"x")]) == [None]
    assert set(names.connected) == {"127.0.0.1"}
    # Another client, and a new connection.
    store(S3_ENDPOINT_URL="http://s3.example.com", **keys)
    (error,) = archive.put_all([Copy("exports/o/rebound.json", b"x")])
    assert METADATA in str(error)
    assert set(names.connected) == {"127.0.0.1"}


def test_a_redirect_to_another_region_is_checked_too(names: Names, store: Any, redirecting: int) -> None:
    names.known["s3.us-east-1.amazonaws.com"] = names.known["s3.amazonaws.com"] = [("127.0.0.1", redirecting)]
    names.known["s3.eu-central-1.amazonaws.com"] = [(METADATA, 80)]
    store({"use_ssl": False})

    (error,) = archive.put_all([Copy("exports/o/a.json", b"x")])

    assert f"s3.eu-central-1.amazonaws.com is {METADATA}" in str(error)
    assert set(names.connected) == {"127.0.0.1"}
