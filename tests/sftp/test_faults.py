"""What can go wrong on the way to a server, produced for real, each with its name."""

import socket
import threading
from dataclasses import replace

import asyncssh
import pytest

from erp_connectors import faults
from erp_connectors.faults import Fault
from erp_connectors.port_types import Move, Upload
from erp_connectors.sftp import errors
from erp_connectors.sftp.keys import load_private_key, parse_host_key
from erp_connectors.transports.base import TransportPolicy
from erp_connectors.transports.sftp import SftpTransport
from erp_connectors.transports.sftp.answers import FAULT_OF_ERROR
from tests.servers.asyncssh_server import Behaviour, DropConnection, asyncssh_server
from tests.servers.ssh import free_port, new_key, private_text, public_line

POLICY = TransportPolicy(sftp_loopback=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with asyncssh_server(tmp_path_factory.mktemp("root")) as running:
        yield running


def failed(options, policy=POLICY):
    """The step at which opening ended, and its fault's code."""
    transport = SftpTransport(options, policy)
    *_, last = transport.open_steps()
    assert last.fault
    assert last.fault.kind.hint
    return last.name, last.fault.code


def test_every_error_of_the_engine_is_mapped():
    everything = {e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.SshError)}

    assert set(FAULT_OF_ERROR) == everything - {errors.SshError}


def test_a_name_that_does_not_exist(server):
    assert failed(server.options(host="nowhere.invalid")) == ("tcp", "NAME_NOT_FOUND")


def test_a_port_where_nobody_listens(server):
    assert failed(server.options(port=free_port())) == ("tcp", "CONNECTION_REFUSED")


def test_another_key_than_the_pinned_one(server):
    assert failed(server.options(host_keys=(public_line(new_key()),))) == ("host_key", "HOST_KEY_CHANGED")


def test_no_pinned_key(server):
    assert failed(server.options(host_keys=())) == ("host_key", "HOST_KEY_UNKNOWN")


def test_a_wrong_password(server):
    assert failed(server.options(ssh_key=None, password="wrong")) == ("login", "LOGIN_REFUSED")


def test_a_wrong_key(server):
    assert failed(server.options(ssh_key=private_text(new_key()))) == ("login", "LOGIN_REFUSED")


def test_nothing_is_said_to_a_server_with_another_key(tmp_path):
    behaviour = Behaviour()
    with asyncssh_server(tmp_path, behaviour=behaviour) as other:
        failed(other.options(host_keys=(public_line(new_key()),)))

    assert behaviour.sessions == 0


@pytest.mark.parametrize(
    ("text", "passphrase", "why"),
    [
        (lambda: private_text(new_key(), "phrase"), None, "passphrase is missing"),
        (lambda: private_text(new_key(), "phrase"), "wrong", "passphrase is wrong"),
        (lambda: public_line(new_key()), None, "public key"),
        (lambda: "geheim", None, "does not look like"),
        (lambda: private_text(new_key())[:200], None, "damaged"),
    ],
)
def test_a_key_that_can_not_be_read(server, text, passphrase, why):
    options = server.options(ssh_key=text(), ssh_key_passphrase=passphrase)
    transport = SftpTransport(options, POLICY)
    *_, last = transport.open_steps()

    assert last.fault
    assert last.fault.code == "KEY_UNREADABLE"
    assert why in last.fault.message
    assert "geheim" not in last.fault.message


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"])
@pytest.mark.parametrize("form", ["openssh", "pkcs8-pem"])
@pytest.mark.parametrize("passphrase", [None, "phrase"])
def test_keys_of_every_kind_are_read(kind, form, passphrase):
    key = asyncssh.generate_private_key(kind)
    if form == "openssh":
        text = private_text(key, passphrase)
    else:
        text = key.export_private_key(form, passphrase=passphrase).decode()

    assert load_private_key(text, passphrase).asbytes() == key.public_data


def test_a_fingerprint_is_what_ssh_keygen_prints():
    key = new_key()

    assert parse_host_key(f"[host]:2222 {public_line(key)} comment").fingerprint == key.get_fingerprint()


@pytest.mark.parametrize("host", ["169.254.169.254", "[::ffff:169.254.1.1]", "0.0.0.0", "fe80::1"])
def test_addresses_where_no_erp_can_be_are_refused(server, host):
    assert failed(server.options(host=host.strip("[]"))) == ("tcp", "HOST_NOT_ALLOWED")


def test_only_listed_hosts_are_allowed(server):
    assert (
        failed(server.options(), TransportPolicy(sftp_allowed_hosts=("erp.example.com",)))[1]
        == "HOST_NOT_ALLOWED"
    )

    with SftpTransport(
        server.options(), TransportPolicy(sftp_allowed_hosts=("127.0.0.1",), sftp_loopback=True)
    ):
        pass


class Listener:
    """Accepts connections and treats each with ``handle``."""

    def __init__(self, handle):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.handle, self.accepted = handle, []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.accepted.append(connection)
            self.handle(connection)

    def close(self):
        for connection in self.accepted:
            connection.close()
        self.socket.close()


@pytest.mark.parametrize(
    ("handle", "expected"),
    [
        (lambda connection: connection.close(), {"SERVER_BUSY"}),
        (
            lambda connection: connection.sendall(b"220 ftp ready\r\n" * 200),
            {"HANDSHAKE_FAILED", "SERVER_BUSY"},
        ),
        (lambda connection: None, {"CONNECTION_TIMEOUT"}),
    ],
    ids=["closes", "speaks FTP", "says nothing"],
)
def test_what_answers_without_being_ssh(server, handle, expected):
    listener = Listener(handle)
    try:
        step, code = failed(server.options(port=listener.port, connect_timeout=1))
    finally:
        listener.close()

    assert step == "host_key"
    assert code in expected


@pytest.mark.deep
def test_failures_leave_no_thread_behind(server):
    before = threading.active_count()
    for _ in range(8):
        failed(server.options(ssh_key=None, password="wrong"))
    for thread in threading.enumerate():
        if thread.name.startswith("Thread-"):
            thread.join(2)

    assert threading.active_count() <= before + 2


class TestLostLinks:
    @pytest.fixture
    def behaviour(self):
        return Behaviour()

    @pytest.fixture
    def transport(self, tmp_path, behaviour):
        with asyncssh_server(tmp_path, behaviour=behaviour) as running:
            opened = SftpTransport(replace(running.options(), io_timeout=3), POLICY)
            with opened:
                yield opened

    def lose(self, wanted):
        def interfere(operation, name):
            if operation == wanted:
                raise DropConnection

        return interfere

    def test_in_the_middle_of_writing(self, transport, behaviour):
        behaviour.interfere = self.lose("write")

        outcomes = transport.stage([Upload(f"/{n}.tmp", b"x") for n in range(5)])

        assert {fault.code for fault in outcomes if fault} == {"CONNECTION_LOST"}
        assert all(outcomes)

    @pytest.mark.parametrize("moment", ["interfere", "after"])
    def test_around_the_rename(self, transport, behaviour, moment, tmp_path):
        transport.stage([Upload("/a.tmp", b"x")])
        setattr(behaviour, moment, self.lose("rename"))

        (outcome,) = transport.publish([Move("/a.tmp", "/a.json")])

        assert outcome
        assert outcome.code == "CONNECTION_LOST"
        assert (tmp_path / "a.json").exists() == (moment == "after")

    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (asyncssh.SFTPPermissionDenied("no"), "PERMISSION_DENIED"),
            (asyncssh.SFTPFailure("No space left on device"), "DISK_FULL"),
            (asyncssh.SFTPFailure("Disk quota exceeded"), "DISK_FULL"),
            (asyncssh.SFTPFailure("whatever"), "REMOTE_FAILURE"),
            (asyncssh.SFTPOpUnsupported("no rename here"), "RENAME_UNSUPPORTED"),
        ],
    )
    def test_what_a_server_says_about_a_rename(self, transport, behaviour, error, code):
        transport.stage([Upload("/a.tmp", b"x")])

        def refuse(operation, name):
            if operation == "rename":
                raise error

        behaviour.interfere = refuse
        (outcome,) = transport.publish([Move("/a.tmp", "/a.json")])

        assert outcome
        assert outcome.code == code
        assert outcome.kind.hint


def test_no_secret_is_in_any_fault(server):
    options = server.options(ssh_key=None, password="sehr-geheim-1234")
    *_, last = SftpTransport(options, POLICY).open_steps()

    assert isinstance(last.fault, Fault)
    assert "sehr-geheim" not in f"{last} {last.fault.message} {options!r}"


def test_the_table_of_faults_is_complete_and_says_what_to_do():
    assert len(faults.FAULT_KINDS) >= 30
    assert all(kind.meaning.endswith(".") and kind.hint.endswith(".") for kind in faults.FAULT_KINDS.values())
