"""Everything that keeps a connection from coming up, told by its name through the connection test and a delivery."""

import socket
import subprocess
import threading
import time
from contextlib import contextmanager

import asyncssh as ssh
import pytest

from erp_connectors.fault_records import english_cause
from erp_connectors.faults import NO_COMMON_ALGORITHM, OUTDATED_ALGORITHMS
from erp_connectors.services.connections.connection_test import test_connection as run_test
from erp_connectors.states import ExportStatus
from tests.faults.conftest import QUICK, assert_told
from tests.parts import require_program
from tests.servers.asyncssh_server import asyncssh_server
from tests.servers.gate import SILENT, gate
from tests.servers.ssh import free_port, new_key, private_text, public_line

pytestmark = pytest.mark.deep

SLOW = 0.4
paces = pytest.mark.parametrize(
    "pace",
    [SILENT, SLOW],
    ids=["says nothing", "says a byte at a time"],
)


def test_the_name_is_unknown(erp_at, asyncssh):
    message = assert_told(erp_at(asyncssh, host="nowhere.invalid"), "NAME_NOT_FOUND", step="tcp")
    assert "nowhere.invalid" in message


def test_nobody_listens(erp_at, asyncssh):
    assert_told(erp_at(asyncssh, port=free_port()), "CONNECTION_REFUSED", step="tcp")


def test_nobody_answers_the_connection_request(erp_at, asyncssh):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        # Its queue is full, so the kernel leaves further requests without an answer.
        queued = [socket.socket() for _ in range(3)]
        for one in queued:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        erp = erp_at(asyncssh, port=full.getsockname()[1], **QUICK)
        message = assert_told(erp, "CONNECTION_TIMEOUT", step="tcp")
        for one in queued:
            one.close()
    assert "within 1.5 s" in message


def test_the_server_admits_no_more_connections(erp_at, openssh):
    server = openssh("MaxStartups 1:100:1\nLoginGraceTime 60")
    with held_open(server):
        assert_told(erp_at(server), "SERVER_BUSY", step="host_key")


@contextmanager
def held_open(server):
    """A connection that does not log in: the only one of its kind that the server admits."""
    for _ in range(1_000):
        with socket.create_connection((server.host, server.port)) as held:
            if held.recv(100).startswith(b"SSH-"):
                yield
                return
        time.sleep(0.05)
    raise AssertionError("the server admits nobody")


@paces
def test_the_server_does_not_greet(erp_at, asyncssh, pace):
    with gate(asyncssh.port) as peer:
        peer.choke(pace)
        message = assert_told(
            erp_at(asyncssh, port=peer.port, **QUICK), "CONNECTION_TIMEOUT", step="host_key"
        )
    assert "handshake" in message


@paces
def test_the_server_greets_and_says_no_more(erp_at, asyncssh, pace):
    with gate(asyncssh.port, after_greeting=pace) as peer:
        message = assert_told(
            erp_at(asyncssh, port=peer.port, **QUICK), "CONNECTION_TIMEOUT", step="host_key"
        )
    assert "handshake" in message


@paces
def test_the_server_does_not_answer_the_login(erp_at, asyncssh, behaviour, pace):
    with gate(asyncssh.port) as peer:
        behaviour.on_login = lambda: peer.choke(pace)
        erp = erp_at(asyncssh, port=peer.port, **QUICK)
        probed = erp.probed()
        peer.open()
        delivered = erp.delivered()
    assert (probed.name, probed.fault.code) == ("login", "CONNECTION_TIMEOUT")
    assert delivered.error_json["code"] == "CONNECTION_TIMEOUT"
    assert "login" in english_cause(delivered.error_json)


@paces
def test_the_server_does_not_answer_the_request_for_sftp(erp_at, asyncssh, behaviour, pace):
    with gate(asyncssh.port) as peer:
        behaviour.on_session = lambda: peer.choke(pace)
        erp = erp_at(asyncssh, port=peer.port, **QUICK)
        probed = erp.probed()
        peer.open()
        delivered = erp.delivered()
    assert (probed.name, probed.fault.code) == ("login", "CONNECTION_TIMEOUT")
    assert delivered.error_json["code"] == "CONNECTION_TIMEOUT"
    assert "SFTP" in english_cause(delivered.error_json)


def test_the_link_is_cut_during_the_handshake(erp_at, asyncssh):
    with gate(asyncssh.port, after_greeting=SILENT) as peer:
        erp = erp_at(asyncssh, port=peer.port)
        threading.Timer(0.5, peer.close).start()
        probed = erp.probed()
    assert (probed.name, probed.fault.code) == ("host_key", "CONNECTION_LOST")


def test_the_link_is_cut_during_the_login(erp_at, asyncssh, behaviour):
    with gate(asyncssh.port) as peer:
        behaviour.on_login = peer.close
        probed = erp_at(asyncssh, port=peer.port).probed()
    assert (probed.name, probed.fault.code) == ("login", "CONNECTION_LOST")


def test_the_link_is_cut_after_the_login(erp_at, asyncssh, behaviour):
    with gate(asyncssh.port) as peer:
        behaviour.on_session = peer.close
        probed = erp_at(asyncssh, port=peer.port).probed()
    assert (probed.name, probed.fault.code) == ("login", "CONNECTION_LOST")


def test_no_key_is_pinned(erp_at, openssh):
    server = openssh()
    message = assert_told(erp_at(server, host_key=None), "HOST_KEY_UNKNOWN", step="host_key")
    assert server_fingerprint(server) in message


def test_another_key_is_pinned(erp_at, openssh):
    server, other = openssh(), new_key()
    message = assert_told(erp_at(server, host_key=public_line(other)), "HOST_KEY_CHANGED", step="host_key")
    assert server_fingerprint(server) in message
    assert other.get_fingerprint() in message


def server_fingerprint(server):
    return ssh.import_public_key(server.host_key).get_fingerprint()


def test_the_password_is_wrong(erp_at, asyncssh):
    message = assert_told(
        erp_at(asyncssh, ssh_key=None, password="falsch-1234"), "LOGIN_REFUSED", step="login"
    )
    assert "falsch" not in message


def test_the_server_takes_no_passwords(erp_at, openssh):
    message = assert_told(erp_at(openssh(), ssh_key=None, password="any"), "LOGIN_REFUSED", step="login")
    assert "publickey" in message


@pytest.mark.parametrize("lines", ["", "MaxAuthTries 1"], ids=["refused", "refused and disconnected"])
def test_the_key_is_wrong(erp_at, openssh, lines):
    assert_told(erp_at(openssh(lines), ssh_key=private_text(new_key())), "LOGIN_REFUSED", step="login")


def test_the_key_alone_is_not_enough(erp_at, openssh):
    server = openssh("AuthenticationMethods publickey,publickey")
    message = assert_told(erp_at(server), "LOGIN_REFUSED", step="login")
    assert "also requires: publickey" in message


@pytest.mark.parametrize(
    ("passphrase", "why"), [(None, "its passphrase is missing"), ("wrong", "The passphrase is wrong")]
)
def test_the_key_is_encrypted(erp_at, asyncssh, passphrase, why):
    erp = erp_at(asyncssh, ssh_key=private_text(new_key(), "right"), ssh_key_passphrase=passphrase)
    assert why in assert_told(erp, "KEY_UNREADABLE", step="login")


@pytest.mark.parametrize(
    ("lines", "offered"),
    [
        ("KexAlgorithms diffie-hellman-group1-sha1", "key exchange: diffie-hellman-group1-sha1"),
        (
            "KexAlgorithms sntrup761x25519-sha512@openssh.com",
            "key exchange: sntrup761x25519-sha512@openssh.com",
        ),
        ('HostKey "{folder}/rsa"\nHostKeyAlgorithms ssh-rsa', "host keys: ssh-rsa"),
        ("Ciphers chacha20-poly1305@openssh.com", "ciphers: chacha20-poly1305@openssh.com"),
        ("Ciphers aes128-ctr\nMACs umac-64@openssh.com", "MACs: umac-64@openssh.com"),
    ],
)
def test_no_algorithm_is_common(erp_at, openssh, tmp_path, lines, offered):
    rsa = tmp_path / "rsa"
    subprocess.run([require_program("ssh-keygen"), "-q", "-t", "rsa", "-N", "", "-f", str(rsa)], check=True)
    server = openssh(lines.replace("{folder}", str(tmp_path)))

    assert offered in assert_told(erp_at(server), "NO_COMMON_ALGORITHM", step="host_key")


@pytest.mark.parametrize(
    "name",
    [
        "curve25519-sha256",
        "curve25519-sha256@libssh.org",
        "ecdh-sha2-nistp256",
        "ecdh-sha2-nistp384",
        "ecdh-sha2-nistp521",
        "diffie-hellman-group16-sha512",
        "diffie-hellman-group18-sha512",
        "diffie-hellman-group-exchange-sha256",
        "diffie-hellman-group14-sha256",
    ],
)
def test_a_single_current_key_exchange_is_enough(erp_at, openssh, name):
    assert erp_at(openssh(f"KexAlgorithms {name}")).delivered().status == ExportStatus.SENT


def test_the_post_quantum_key_exchange_is_enough(erp_at, tmp_path):
    """With AsyncSSH: Debian's OpenSSH is too old for it."""
    with asyncssh_server(tmp_path, kex_algs=["mlkem768x25519-sha256"]) as server:
        assert erp_at(server).delivered().status == ExportStatus.SENT


OUTDATED = [
    ("Ciphers aes128-cbc", "aes128-cbc"),
    ("Ciphers 3des-cbc", "3des-cbc"),
    ("Ciphers aes128-ctr\nMACs hmac-sha1", "hmac-sha1"),
    ("Ciphers aes256-ctr\nMACs hmac-md5", "hmac-md5"),
]


@pytest.mark.parametrize(("lines", "outdated"), OUTDATED)
def test_the_server_has_only_outdated_algorithms(erp_at, openssh, lines, outdated):
    server = openssh(lines)

    assert outdated in assert_told(erp_at(server), "OUTDATED_ALGORITHMS", step="host_key")


@pytest.mark.parametrize("allowed", [False, True])
def test_allowing_outdated_algorithms_is_proposed_only_where_it_helps(erp_at, openssh, allowed):
    server = openssh("Ciphers aes128-cbc\nKexAlgorithms diffie-hellman-group1-sha1")

    message = assert_told(erp_at(server, legacy_algorithms=allowed), "NO_COMMON_ALGORITHM", step="host_key")

    assert "ciphers: aes128-cbc" in message
    assert "outdated" not in NO_COMMON_ALGORITHM.hint
    assert "Allow outdated algorithms" in OUTDATED_ALGORITHMS.hint


@pytest.mark.parametrize(("lines", "outdated"), OUTDATED)
def test_outdated_algorithms_work_where_somebody_allowed_them_and_the_test_warns(
    erp_at, openssh, lines, outdated
):
    erp = erp_at(openssh(lines), legacy_algorithms=True)

    found = {step.name: step.found for step in run_test(erp.connection.pk, actor=None)}

    assert found["host_key"].params["outdated"] == outdated
    assert erp.delivered().status == ExportStatus.SENT


def test_a_current_server_is_spoken_to_in_current_algorithms_whatever_is_allowed(erp_at, openssh):
    erp = erp_at(openssh(), legacy_algorithms=True)

    found = {step.name: step.found for step in run_test(erp.connection.pk, actor=None)}

    assert "outdated" not in found["host_key"].params


def test_the_user_has_no_sftp(erp_at, openssh):
    server = openssh("Match all\nForceCommand /bin/false")
    assert_told(erp_at(server), "SFTP_UNAVAILABLE", step="login")


def test_the_users_login_prints_text(erp_at, openssh):
    server = openssh("Match all\nForceCommand echo Willkommen auf dem Server; sleep 5")
    assert_told(erp_at(server), "SFTP_UNAVAILABLE", step="login")
