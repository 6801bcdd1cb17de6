"""Servers that refuse, hang up, and say the password back wherever the protocol lets them."""

import asyncio
import secrets
import time

import asyncssh
import pytest

from erp_connectors import tasks
from erp_connectors.services.acks import poll
from erp_connectors.services.connections.connection_test import test_connection as run_test
from erp_connectors.services.delivery import deliver
from erp_connectors.services.exports.push import push
from orderflow import jobs
from tests import factories
from tests.leaks.canaries import body_of, random_text
from tests.servers import asyncssh_server as servers
from tests.servers.ssh import free_port, new_key, private_text, public_line

pytestmark = pytest.mark.deep

QUICK = {"connect_timeout": 1.0, "io_timeout": 1.0}


class Echo(servers._Server):
    """Says ``password`` in the banner; ``refuses`` says how a login ends."""

    password, refuses = "", ""

    def connection_made(self, conn):
        super().connection_made(conn)
        self.conn = conn

    def begin_auth(self, username):
        self.conn.send_auth_banner(f"Welcome, {self.password}!\n")
        return True

    def validate_password(self, username, password):
        if self.refuses == "hangs up":
            raise asyncssh.DisconnectError(14, f"auth failed for {password}")
        if self.refuses == "hangs":
            return hang()
        if self.refuses == "cuts":
            self.conn.abort()
        return not self.refuses

    def validate_public_key(self, username, key):
        return False


async def hang():
    await asyncio.sleep(5)
    return False


class Talkative:
    """A connection whose password the server knows, and what went through it."""

    def __init__(self, leaks, tmp_path, monkeypatch):
        self.leaks, self.root, self.monkeypatch = leaks, tmp_path / "root", monkeypatch
        for folder in ("in", "ack"):
            (self.root / folder).mkdir(parents=True)
        self.password = leaks.canary("SSH password", random_text(60))
        self.rows, self.shown = [], ""

    def run(self, refuses="", interfere=None, config=None, greets=False):
        """Test, delivery and poll; returns the text that each gave back."""
        values = {"password": self.password.value, "ssh_key": None, **QUICK, **(config or {})}
        # A password that the connection does not hold is for nobody to recognise.
        echo = type("OfTest", (Echo,), {"password": values["password"] or "", "refuses": refuses})
        self.monkeypatch.setattr(servers, "_Server", echo)
        version = {"server_version": f"x-{self.password.value}"} if greets else {}
        behaviour = servers.Behaviour(interfere=interfere)
        with servers.asyncssh_server(self.root, behaviour=behaviour, **version) as server:
            connection = factories.connection(factories.org(), server.config(**values))
            order = factories.draft(connection.org)
            export = push(order.pk, actor=None).export
            steps = run_test(connection.pk, actor=None)
            jobs.enqueue(jobs.Task.DELIVER, str(connection.pk))
            told = [tasks.deliver(str(connection.pk)), tasks.poll(str(connection.pk))]
        shown = "\n".join([*told, *(f"{step!r} {step.fault}" for step in steps)])
        self.rows += [connection, export, order]
        self.shown += shown + repr(connection.config)
        return shown


@pytest.fixture
def talkative(leaks, tmp_path, monkeypatch):
    talks = Talkative(leaks, tmp_path, monkeypatch)
    yield talks
    # Once for all that a test did: a search takes a second.
    leaks.look(talks.rows[0].org, *talks.rows, returned=talks.shown)


def test_a_refused_password(talkative):
    for refuses in ("says no", "hangs up", "cuts"):
        assert "login" in talkative.run(refuses).lower(), refuses


def test_a_login_and_a_file_that_take_too_long(talkative):
    def slow(operation, name):
        time.sleep(1.5)

    for refuses, interfere in (("hangs", None), ("", slow)):
        assert "within" in talkative.run(refuses, interfere) or "time" in talkative.shown, refuses


def test_a_password_in_the_servers_greeting(talkative):
    assert "x-[hidden]" in talkative.run(greets=True)


def test_a_password_in_what_is_said_about_a_file(talkative):
    def refuse(operation, name):
        # So long before it that a cut would leave a part of it.
        raise asyncssh.SFTPFailure("x" * 280 + talkative.password.value)

    assert "xxx" in talkative.run(interfere=refuse)


def test_a_password_in_the_error_that_no_one_foresaw(talkative, monkeypatch):
    def broken(*args, **options):
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(poll, "open_link", broken)
    monkeypatch.setattr(deliver, "_deliver_part", broken)

    assert "RuntimeError" in talkative.run()
    connection, export, _ = talkative.rows
    connection.refresh_from_db()
    export.refresh_from_db()
    for shown in (talkative.shown, str(export.error_json), str(connection.poll_error)):
        assert "unforeseen" not in shown


def test_keys(talkative, leaks):
    passphrase, wrong = leaks.canary("passphrase"), leaks.canary("wrong passphrase")
    key = new_key()
    plain = private_text(key)
    locked = private_text(key, passphrase.value)
    leaks.canary("private key", body_of(plain)[:70])
    leaks.canary("encrypted private key", body_of(locked)[:70])
    for config in (
        {"ssh_key": plain},
        {"ssh_key": locked, "ssh_key_passphrase": passphrase.value},
        {"ssh_key": locked, "ssh_key_passphrase": wrong.value},
        {"ssh_key": locked},
        {"ssh_key": "".join(plain.splitlines(keepends=True)[:1] + plain.splitlines(keepends=True)[2:])},
    ):
        assert "fault=Fault(" in talkative.run(config={**config, "password": None})


def test_a_changed_host_key(talkative):
    assert "pinned is" in talkative.run(config={"host_key": public_line(new_key())})


def test_nobody_listens(talkative):
    talkative.run(config={"port": free_port()})


def test_a_lost_master_key(leaks, settings):
    password = leaks.canary("SSH password")
    leaks.canary("master key", settings.ENCRYPTION_MASTER_KEY)
    config = {"mode": "sftp", "password": password.value, "export_path": "/in"}
    connection = factories.connection(factories.org(), config)
    settings.ENCRYPTION_MASTER_KEY = leaks.canary("another master key", secrets.token_hex(32)).value
    shown = [tasks.deliver(str(connection.pk)), tasks.poll(str(connection.pk))]

    leaks.look(connection.org, connection, returned="\n".join(shown))
