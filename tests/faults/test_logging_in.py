"""Servers that want a key and a password, ask for the password in another way, or take only some types of keys."""

import time

import asyncssh as ssh
import pytest

from erp_connectors.services.connections.connection_test import test_connection as run_test
from erp_connectors.sftp.texts import MAX_TEXT
from erp_connectors.sftp.wire import string
from erp_connectors.states import ExportStatus
from tests.faults.conftest import assert_told
from tests.servers.asyncssh_server import asyncssh_server
from tests.servers.hostile_sftp import Attacks, Files, StepwiseGate, hostile_server
from tests.servers.proftpd import proftpd_server
from tests.servers.ssh import PASSWORD, new_key, private_text

pytestmark = pytest.mark.deep

KEY, PASSWORD_STEP, QUESTIONS = "publickey", "password", "keyboard-interactive"


@pytest.fixture
def stepwise(tmp_path, erp_at):
    """A connection with a key and a password to a server that wants these steps; the gate of its last login."""
    running = []

    def start(*steps, questions=(("Password: ", False),), **config):
        gates = []

        def gate(transport):
            gates.append(StepwiseGate(transport, *steps, questions=questions))
            return gates[-1]

        running.append(hostile_server(Attacks(), root=tmp_path, files=Files(), gate=gate))
        server = running[-1].__enter__()
        return erp_at(server, **{"ssh_key": private_text(new_key()), "password": PASSWORD, **config}), gates

    yield start
    for server in running:
        server.__exit__(None, None, None)


def login_of(erp):
    return next(step for step in run_test(erp.connection.pk, actor=None) if step.name == "login")


@pytest.mark.parametrize(
    "steps",
    [
        (KEY, PASSWORD_STEP),
        (PASSWORD_STEP, KEY),
        (KEY, QUESTIONS),
        (QUESTIONS, KEY),
        (KEY,),
        (PASSWORD_STEP,),
        (QUESTIONS,),
    ],
    ids=" then ".join,
)
def test_whatever_the_server_asks_for_is_given(stepwise, steps):
    erp, gates = stepwise(*steps)

    login = login_of(erp)

    assert login.ok, login.fault
    assert ("key ssh-ed25519 SHA256:" in str(login.found)) == (KEY in steps)
    assert ("password" in login.found.code) == bool({PASSWORD_STEP, QUESTIONS} & {*steps})
    assert erp.delivered().status == ExportStatus.SENT
    # A second request for the service makes some servers hang up.
    assert {gate.services for gate in gates} == {1}


@pytest.mark.parametrize("steps", [(QUESTIONS,), (PASSWORD_STEP,)], ids=" then ".join)
def test_a_password_alone_is_given_as_the_server_asks_for_it(stepwise, steps):
    erp, _ = stepwise(*steps, ssh_key=None)

    assert erp.delivered().status == ExportStatus.SENT


def test_a_real_server_that_wants_key_and_password(tmp_path, erp_at):
    key, root, folder = new_key(), tmp_path / "root", tmp_path / "server"
    for one in (root, folder):
        one.mkdir()
    (folder / "authorized").write_bytes(key.export_public_key("rfc4716"))
    extra = f'SFTPAuthorizedUserKeys "file:{folder}/authorized"'
    with proftpd_server(root, folder, extra=extra, auth="publickey+password") as server:
        erp = erp_at(server, ssh_key=private_text(key), password=PASSWORD)
        assert erp.delivered().status == ExportStatus.SENT
        without_password = erp_at(server, ssh_key=private_text(key), password=None)
        assert "also requires: password" in assert_told(without_password, "LOGIN_REFUSED", step="login")


def test_a_wrong_password_after_the_key_is_told_as_that(stepwise):
    erp, gates = stepwise(KEY, PASSWORD_STEP, password="falsch-1234")

    message = assert_told(erp, "LOGIN_REFUSED", step="login")

    assert "accepted the key" in message
    assert "but not the password" in message
    assert gates[-1].tried == [KEY, PASSWORD_STEP]


def test_a_refused_key_is_not_replaced_by_the_password(erp_at, asyncssh):
    assert_told(erp_at(asyncssh, ssh_key=private_text(new_key())), "LOGIN_REFUSED", step="login")


@pytest.mark.parametrize(
    "questions",
    [
        (("Benutzer: ", True),),
        (("Password: ", False), ("Verification code: ", False)),
        (("Password: ", True),),
    ],
    ids=["a shown one", "two", "a shown password"],
)
def test_questions_that_are_not_for_the_password_are_told(stepwise, questions):
    erp, gates = stepwise(QUESTIONS, questions=questions, ssh_key=None)

    message = assert_told(erp, "LOGIN_REFUSED", step="login")

    assert f"“{questions[-1][0].strip()}”" in message
    assert gates[-1].tried == [PASSWORD_STEP, QUESTIONS]


def test_a_second_hidden_question_is_not_answered_with_the_password(stepwise):
    """The password was sent in its own step, so a further question is for a code."""
    erp, gates = stepwise(PASSWORD_STEP, QUESTIONS, ssh_key=None)

    message = assert_told(erp, "LOGIN_REFUSED", step="login")

    assert "accepted the password, but also requires: keyboard-interactive" in message
    assert gates[-1].tried == [PASSWORD_STEP]


def test_a_password_at_the_end_of_a_shortened_question_is_hidden(stepwise):
    question = "x" * (MAX_TEXT - 10) + PASSWORD + " was wrong. Again:"
    erp, _ = stepwise(QUESTIONS, ssh_key=None, questions=((question, True),))

    message = assert_told(erp, "LOGIN_REFUSED", step="login")

    assert "xxx[hidden]" in message
    assert PASSWORD[:5] not in message


def test_an_expired_password_is_told_as_that(tmp_path, erp_at):
    class Expired(StepwiseGate):
        def check_auth_password(self, username, password):
            self.transport.send_in_handshake(60, string("Your password has expired.") + string(""))
            time.sleep(0.5)
            return super().check_auth_password(username, "")

    with hostile_server(
        Attacks(), root=tmp_path, gate=lambda transport: Expired(transport, PASSWORD_STEP)
    ) as server:
        message = assert_told(erp_at(server), "LOGIN_REFUSED", step="login")

    assert "has expired" in message


def test_endless_questions_end_the_login(tmp_path, erp_at):
    class Endless(StepwiseGate):
        def check_auth_interactive(self, username, submethods):
            body = string("") * 3 + (2**32 - 1).to_bytes(4, "big")
            self.transport.send_in_handshake(60, body)
            time.sleep(0.5)
            return super().check_auth_interactive_response([])

    with hostile_server(
        Attacks(), root=tmp_path, gate=lambda transport: Endless(transport, QUESTIONS)
    ) as server:
        assert_told(erp_at(server), "CONNECTION_LOST", step="login")


@pytest.mark.parametrize(
    ("steps", "taken"), [((KEY, PASSWORD_STEP), True), ((PASSWORD_STEP,), False)], ids=["both", "password"]
)
def test_a_new_key_replaces_the_old_one_only_if_the_server_asked_for_it(stepwise, steps, taken):
    new = private_text(new_key())
    erp, _ = stepwise(*steps, next_ssh_key=new)

    assert erp.delivered().status == ExportStatus.SENT

    erp.connection.refresh_from_db()
    assert (erp.connection.config["ssh_key"] == new) == taken


RSA = ssh.generate_private_key("ssh-rsa", key_size=2048)
ECDSA = ssh.generate_private_key("ecdsa-sha2-nistp256")


@pytest.mark.parametrize(
    ("key", "named"),
    [(RSA, "ssh-rsa (rsa-sha2-512, rsa-sha2-256)"), (ECDSA, "ecdsa-sha2-nistp256 (ecdsa-sha2-nistp256)")],
    ids=["RSA", "ECDSA"],
)
@pytest.mark.parametrize("listed", ["ssh-rsa", "ssh-ed25519"])
def test_a_type_of_key_that_the_server_does_not_list_is_named(tmp_path, erp_at, key, named, listed):
    """As a server that knows RSA with SHA-1 only, or has switched RSA off."""
    with asyncssh_server(tmp_path, signature_algs=[listed]) as server:
        message = assert_told(
            erp_at(server, ssh_key=private_text(key), password=None), "LOGIN_REFUSED", step="login"
        )

    assert f"of the type {named}" in message
    assert f"accepts only: {listed}" in message
