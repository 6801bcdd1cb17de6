"""What answers is not the SFTP server that was meant: a web server, an FTP server, an SFTP of another version."""

import ssl
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from erp_connectors.sftp import wire
from erp_connectors.sftp.other_services import USUAL_PORTS
from tests.faults.conftest import QUICK, assert_told
from tests.parts import require_program
from tests.servers.hostile_sftp import U32, Attacks, hostile_server, packet, raw_server
from tests.servers.proftpd import proftpd_server

pytestmark = pytest.mark.deep


class QuietServer(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """A failed TLS handshake is what is wanted."""


@contextmanager
def web_server(*, context=None):
    server = QuietServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_a_web_server(erp_at, asyncssh):
    with web_server() as port:
        message = assert_told(erp_at(asyncssh, port=port), "WEB_SERVER", step="host_key")
    assert "DOCTYPE" in message


def test_a_web_server_that_answers_in_http(erp_at, asyncssh):
    """As nginx, Apache, IIS and gunicorn do."""

    def refuse(client):
        client.recv(100)
        client.sendall(b"HTTP/1.1 400 Bad Request\r\nServer: x\r\nConnection: close\r\n\r\n")
        client.close()

    with raw_server(refuse) as port:
        message = assert_told(erp_at(asyncssh, port=port), "WEB_SERVER", step="host_key")
    assert "400 Bad Request" in message


def test_a_web_server_with_tls_hangs_up_and_its_port_is_named(erp_at, asyncssh, tmp_path, monkeypatch):
    subprocess.run(
        [require_program("openssl"), "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=x", "-keyout",
         str(tmp_path / "key"), "-out", str(tmp_path / "cert")],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    with web_server(context=context) as port:
        monkeypatch.setitem(USUAL_PORTS, port, "ssh.usual_port_of_web")
        message = assert_told(erp_at(asyncssh, port=port), "SERVER_BUSY", step="host_key")
    assert f"Port {port} is usually a web server's" in message


def test_a_server_that_answers_with_a_tls_alert(erp_at, asyncssh):
    def refuse(client):
        client.recv(100)
        client.sendall(bytes.fromhex("15030100020246"))
        client.close()

    with raw_server(refuse) as port:
        assert_told(erp_at(asyncssh, port=port), "TLS_SERVER", step="host_key")


def test_an_ftp_server(erp_at, asyncssh, tmp_path):
    folder = tmp_path / "ftp"
    folder.mkdir()
    with proftpd_server(tmp_path, folder, engine="off") as server:
        message = assert_told(erp_at(asyncssh, port=server.port), "FTP_SERVER", step="host_key")
    assert "220" in message


def test_a_mail_server_is_shown_by_its_greeting(erp_at, asyncssh):
    with raw_server(lambda client: client.sendall(b"220 mx.example.com ESMTP\r\n" * 200)) as port:
        message = assert_told(erp_at(asyncssh, port=port), "HANDSHAKE_FAILED", step="host_key")
    assert "220 mx.example.com ESMTP" in message


def test_what_a_server_says_before_it_hangs_up_is_told(erp_at, asyncssh):
    def refuse(client):
        client.sendall(b"Not allowed at this time\r\n")
        client.close()

    with raw_server(refuse) as port:
        message = assert_told(erp_at(asyncssh, port=port), "SERVER_BUSY", step="host_key")
    assert "Not allowed at this time" in message


def test_a_web_servers_port_that_says_nothing_is_named(erp_at, asyncssh, monkeypatch):
    with raw_server(lambda client: None) as port:
        monkeypatch.setitem(USUAL_PORTS, port, "ssh.usual_port_of_web")
        message = assert_told(erp_at(asyncssh, port=port, **QUICK), "CONNECTION_TIMEOUT", step="host_key")
    assert f"Port {port} is usually a web server's" in message


@pytest.mark.parametrize("version", [2, 4, 6])
def test_an_sftp_of_another_version(erp_at, tmp_path, version):
    attacks = Attacks(version=lambda: packet(wire.VERSION, U32.pack(version)))
    with hostile_server(attacks, root=tmp_path) as server:
        message = assert_told(erp_at(server), "SFTP_VERSION_UNSUPPORTED", step="login")
    assert f"version {version}" in message
