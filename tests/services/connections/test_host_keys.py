"""Fetching a server's host keys: what it shows is shown, whatever becomes of the other connections."""

from contextlib import contextmanager, suppress
from itertools import count
from socket import SHUT_RDWR, create_connection
from threading import Thread

import asyncssh
import pytest
from django.urls import reverse

from erp_connectors.faults import Fault
from erp_connectors.services.connections.host_keys import compare
from orderflow.tenancy.roles import Role
from tests import factories
from tests.servers.asyncssh_server import asyncssh_server
from tests.servers.dropbear import dropbear_server
from tests.servers.gate import gate
from tests.servers.hostile_sftp import raw_server
from tests.servers.openssh import openssh_server

KINDS = ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256")


@pytest.fixture
def connection_to(db):
    def make(server, **config):
        return factories.connection(factories.org(), server.config(password="any", **config))

    return make


def key_line(folder, kind):
    """Of sshd's configuration, for a new host key."""
    (folder / kind).touch(mode=0o600)
    (folder / kind).write_bytes(asyncssh.generate_private_key(kind).export_private_key())
    return f'HostKey "{folder / kind}"'


@contextmanager
def many_keys(tmp_path, extra=""):
    """An sshd with a key of each of three types."""
    (tmp_path / "root").mkdir()
    lines = [extra, *(key_line(tmp_path, kind) for kind in KINDS[1:])]
    with openssh_server(tmp_path / "root", tmp_path, extra="\n".join(lines)) as server:
        yield server


@contextmanager
def dropping(server, dropped):
    """The port of a relay to the server that cuts the connections of these numbers in their handshake."""
    numbers = count(1)

    def relay(client):
        number = next(numbers)
        with create_connection((server.host, server.port)) as upstream:
            Thread(target=pump, args=(client, upstream), daemon=True).start()
            passed = 0
            while data := upstream.recv(1 << 16):
                # After the server's list of algorithms, as Dropbear does.
                if number in dropped and passed > 200:
                    break
                client.sendall(data)
                passed += len(data)
        client.shutdown(SHUT_RDWR)

    with raw_server(relay) as port:
        yield port


def pump(source, target):
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)


def types(keys):
    return {key.type for key in keys}


def test_every_key_is_shown(connection_to, tmp_path):
    with many_keys(tmp_path) as server:
        found = compare(connection_to(server))

    assert types(found.presented) == {*KINDS}
    assert found.missing == ()


def test_keys_of_rarer_types_are_shown(connection_to, tmp_path):
    (tmp_path / "root").mkdir()
    extra = key_line(tmp_path, "ecdsa-sha2-nistp521")
    with openssh_server(tmp_path / "root", tmp_path, extra=extra) as server:
        found = compare(connection_to(server))

    assert types(found.presented) == {"ssh-ed25519", "ecdsa-sha2-nistp521"}


def test_a_server_that_crashes_at_a_type_of_key_shows_the_one_it_has(connection_to, tmp_path):
    """Dropbear lists RSA also without such a key, and ends when it is asked for it."""
    with dropbear_server(tmp_path) as server:
        found = compare(connection_to(server))

    assert [key.line for key in found.presented] == [server.host_key]
    assert [key.type for key in found.missing] == ["ssh-rsa"]


def test_a_server_with_one_type_of_key_is_asked_for_no_other(connection_to, tmp_path):
    (tmp_path / "root").mkdir()
    with openssh_server(tmp_path / "root", tmp_path) as server, gate(server.port) as counted:
        found = compare(connection_to(server, port=counted.port))

    assert [key.line for key in found.presented] == [server.host_key]
    assert counted.accepted == 1


def test_a_server_that_admits_one_connection_shows_all_its_keys(connection_to, tmp_path):
    with many_keys(tmp_path, extra="MaxStartups 1") as server:
        found = compare(connection_to(server))

    assert len(found.presented) == 3


@pytest.mark.parametrize("dropped", [{1}, {2}, {3}, {1, 3}])
def test_what_was_shown_is_shown_though_other_connections_fail(connection_to, tmp_path, dropped):
    with many_keys(tmp_path) as server, dropping(server, dropped) as port:
        found = compare(connection_to(server, port=port))

    assert len(found.presented) == 3 - len(dropped)
    assert [missing.fault.code for missing in found.missing] == ["CONNECTION_LOST"] * len(dropped)


def test_nothing_shown_is_the_first_fault(connection_to, tmp_path):
    with many_keys(tmp_path) as server, dropping(server, {1, 2, 3}) as port, pytest.raises(Fault) as raised:
        compare(connection_to(server, port=port))

    assert raised.value.code == "CONNECTION_LOST"


def test_a_pinned_key_that_could_not_be_shown_is_not_called_changed(connection_to, tmp_path):
    with many_keys(tmp_path) as server, dropping(server, {1}) as port:
        found = compare(connection_to(server, port=port))

    assert types(found.pinned) == {"ssh-ed25519"}
    assert not found.changed


def test_the_page_names_the_keys_that_are_missing(connection_to, tmp_path, client):
    with many_keys(tmp_path) as server, dropping(server, {2}) as port:
        row = connection_to(server, port=port, host_key=None)
        client.force_login(factories.user(row.org, Role.INTEGRATOR))
        page = client.post(reverse("admin:erp_connection_host_key", args=[row.pk]), {"fetch": "x"})

    assert "did not present a key" in page.content.decode()
    assert page.content.decode().count('type="checkbox"') == 2


def test_a_server_that_is_not_there_is_asked_once(connection_to, tmp_path):
    with asyncssh_server(tmp_path) as server:
        row = connection_to(server)

    with pytest.raises(Fault) as raised:
        compare(row)

    assert raised.value.code == "CONNECTION_REFUSED"
