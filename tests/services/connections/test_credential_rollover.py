"""A planned change of the server's key or of ours: no order waits, no old key stays, and the log says what happened."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from erp_connectors import sessions
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.services.connections.connection_test import test_connection as run_test
from erp_connectors.services.connections.host_keys import compare, fingerprints
from erp_connectors.services.connections.manage import change_connection
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push_many
from erp_connectors.sftp.key_pairs import new_private_key, public_half
from erp_connectors.states import ExportStatus
from erp_connectors.transports.base import TransportPolicy
from erp_connectors.transports.sftp import SftpTransport, server_link
from orderflow.audit.models import Action, AuditLog
from orderflow.messages import Message
from tests import factories
from tests.servers.asyncssh_server import Behaviour, asyncssh_server
from tests.servers.openssh import openssh_server
from tests.servers.ssh import new_key, public_line

TODAY = datetime.now(UTC).date()
POLICY = TransportPolicy(sftp_loopback=True)
OTHER_KEY = public_line(new_key())


@pytest.fixture
def behaviour():
    return Behaviour()


@pytest.fixture
def server(tmp_path, behaviour):
    for folder in ("in", "ack"):
        (tmp_path / "zone" / folder).mkdir(parents=True)
    with asyncssh_server(tmp_path / "zone", behaviour=behaviour) as running:
        yield running
    sessions.session_pool.close()


@pytest.fixture
def connect(db, server):
    def make(**changes):
        return factories.connection(factories.org(), server.config(**changes))

    return make


def day(days: int) -> str:
    return (TODAY + timedelta(days=days)).isoformat()


def outcome(connection: ERPConnection) -> str:
    """Of one order that is delivered now: its status, or the code of what held it up."""
    (order,) = factories.drafts(connection.org, 1)
    push_many([order.pk], actor=None)
    deliver(connection.pk)
    export = ERPExport.objects.get(draft_order=order)
    return export.status if export.status == ExportStatus.SENT else export.error_json["code"]


def config(connection: ERPConnection) -> dict[str, str]:
    return ERPConnection.objects.get(pk=connection.pk).config


def test_an_announced_host_key_takes_the_pinned_ones_place_on_its_first_use(connect, server):
    connection = connect(host_key=OTHER_KEY, next_host_key=server.host_key, host_key_expires=day(5))

    assert outcome(connection) == ExportStatus.SENT

    now = config(connection)
    assert now["host_key"] == server.host_key
    assert not {"next_host_key", "old_host_key", "host_key_expires"} & now.keys()
    entry = AuditLog.objects.get(action=Action.HOST_KEY_PINNED)
    assert entry.actor is None
    assert (entry.before["fingerprints"], entry.after["fingerprints"]) == (
        fingerprints(OTHER_KEY),
        fingerprints(server.host_key),
    )
    assert entry.after["reason"] == "PLANNED_CREDENTIALS_USED"
    assert outcome(connection) == ExportStatus.SENT


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (0, 0, ExportStatus.SENT),
        (-3, None, ExportStatus.SENT),
        (None, 3, ExportStatus.SENT),
        (1, None, "HOST_KEY_CHANGED"),
        (None, -1, "HOST_KEY_CHANGED"),
        (-3, -1, "HOST_KEY_CHANGED"),
    ],
)
def test_it_counts_from_its_first_day_to_its_last(connect, server, since, until, expected):
    days = {"next_host_key_from": since, "next_host_key_until": until}
    dated = {name: day(value) for name, value in days.items() if value is not None}
    connection = connect(host_key=OTHER_KEY, next_host_key=server.host_key, **dated)

    assert outcome(connection) == expected
    if expected == "HOST_KEY_CHANGED":
        assert config(connection)["host_key"] == OTHER_KEY
        reason = ERPConnection.objects.get(pk=connection.pk).circuit_reason
        assert reason["params"]["detail"]["code"] == ("ssh.counts_from" if since == 1 else "ssh.counts_until")


def test_until_the_last_day_the_old_key_counts_too_and_not_longer(connect, server):
    """Two servers behind one name: one has changed its key, the other not yet."""
    connection = connect(host_key=OTHER_KEY, next_host_key=server.host_key, next_host_key_until=day(4))
    assert outcome(connection) == ExportStatus.SENT
    after = config(connection)
    assert after["host_key"] == server.host_key
    assert (after["old_host_key"], after["old_host_key_until"]) == (OTHER_KEY, day(4))

    # The other server's turn: for it, this one's key is the old one.
    swapped = {**after, "host_key": OTHER_KEY, "old_host_key": server.host_key}
    change_connection(connection.pk, actor=None, config=swapped)
    assert outcome(connection) == ExportStatus.SENT
    assert config(connection) == swapped, "using the old key changes nothing"
    change_connection(connection.pk, actor=None, config={**swapped, "old_host_key_until": day(-1)})
    assert outcome(connection) == "HOST_KEY_CHANGED"


def test_while_the_server_shows_the_pinned_key_the_announced_one_waits(connect, server):
    connection = connect(next_host_key=OTHER_KEY, next_host_key_until=day(9))

    assert outcome(connection) == ExportStatus.SENT
    assert config(connection) == connection.config
    assert not AuditLog.objects.filter(action=Action.HOST_KEY_PINNED).exists()


def test_looking_at_the_keys_tells_the_announced_one_from_a_strangers(connect, server):
    announced = compare(connect(host_key=OTHER_KEY, next_host_key=server.host_key))
    strangers = compare(connect(host_key=OTHER_KEY))

    assert (announced.changed, strangers.changed) == (False, True)
    assert set(announced.announced) == {*announced.presented}


def test_our_new_key_is_offered_until_it_is_accepted_and_no_order_waits(
    connect, server, behaviour, monkeypatch
):
    fresh = new_private_key()
    connection = connect(next_ssh_key=fresh, password=None, ssh_key_expires=day(3))
    monkeypatch.setattr(server_link, "PLANS_TRIED_EVERY", 0)

    assert outcome(connection) == ExportStatus.SENT, "the server knows only the old one"
    assert config(connection)["next_ssh_key"] == fresh
    login = run_test(connection.pk, actor=None)[2]
    assert login.found.params["note"] == Message("login.new_key_not_accepted")

    behaviour.trusted.append(public_half(fresh, None))
    assert outcome(connection) == ExportStatus.SENT
    now = config(connection)
    assert now["ssh_key"] == fresh
    assert not {"next_ssh_key", "ssh_key_expires"} & now.keys()
    entry = AuditLog.objects.get(action=Action.CONNECTION_CHANGED)
    assert entry.actor is None
    assert entry.after["changed"] == ["next_ssh_key", "ssh_key", "ssh_key_expires"]
    assert "PRIVATE" not in str(entry.after)
    assert ERPConnection.objects.get(pk=connection.pk).secrets_set_at["ssh_key"]


def test_a_test_that_logs_in_with_the_new_key_says_so_and_drops_the_old_one(connect, server, behaviour):
    fresh = new_private_key()
    behaviour.trusted.append(public_half(fresh, None))
    connection = connect(next_ssh_key=fresh)

    steps = run_test(connection.pk, actor=None)

    assert all(step.ok for step in steps)
    assert steps[2].found.code == "login.new_key"
    assert steps[2].found.params["key"].startswith("ssh-ed25519 SHA256:")
    assert config(connection)["ssh_key"] == fresh
    row = ERPConnection.objects.get(pk=connection.pk)
    assert row.last_test_at
    assert row.last_test_at >= row.updated_at, "it would ask to be tested again"


def test_from_a_password_to_a_key_without_a_gap(connect, server, behaviour, monkeypatch):
    fresh = new_private_key()
    monkeypatch.setattr(server_link, "PLANS_TRIED_EVERY", 0)
    connection = connect(ssh_key=None, next_ssh_key=fresh)

    assert outcome(connection) == ExportStatus.SENT
    behaviour.trusted.append(public_half(fresh, None))
    assert outcome(connection) == ExportStatus.SENT
    assert config(connection)["ssh_key"] == fresh


def test_a_server_that_hangs_up_after_one_wrong_key_is_called_again(db, tmp_path):
    """OpenSSH with MaxAuthTries 1, as hardened servers have it."""
    for folder in ("in", "ack"):
        (tmp_path / "zone" / folder).mkdir(parents=True)
    (keys := tmp_path / "sshd").mkdir()
    with openssh_server(tmp_path / "zone", keys, extra="MaxAuthTries 1") as server:
        connection = factories.connection(factories.org(), server.config(next_ssh_key=new_private_key()))

        assert outcome(connection) == ExportStatus.SENT
        assert "next_ssh_key" in config(connection)
    sessions.session_pool.close()


def test_a_new_key_that_logs_in_but_leads_to_no_sftp_is_not_taken_for_accepted(db, tmp_path):
    """Entered in authorized_keys with another user's restrictions: dropping the old key now would cut us off."""
    for folder in ("in", "ack"):
        (tmp_path / "zone" / folder).mkdir(parents=True)
    (keys := tmp_path / "sshd").mkdir()
    fresh = new_private_key()
    with openssh_server(tmp_path / "zone", keys) as server:
        with (keys / "authorized_keys").open("a") as known:
            known.write(f'command="/bin/false" {public_half(fresh, None)}\n')
        connection = factories.connection(factories.org(), server.config(next_ssh_key=fresh))

        assert outcome(connection) == ExportStatus.SENT
        assert config(connection)["ssh_key"] == connection.config["ssh_key"]
        assert config(connection)["next_ssh_key"] == fresh
    sessions.session_pool.close()


def test_an_unreadable_new_key_stops_nothing(connect):
    assert outcome(connect(next_ssh_key="-----BEGIN PRIVATE KEY-----\nrubbish")) == ExportStatus.SENT


def test_a_kept_session_is_given_up_now_and_then_while_something_is_planned(server, monkeypatch):
    plain = SftpTransport(server.options(), POLICY)
    planned = SftpTransport(replace(server.options(), next_ssh_key=new_private_key()), POLICY)
    with plain, planned:
        assert (plain.resume(), planned.resume()) == (True, True)
        monkeypatch.setattr(server_link, "PLANS_TRIED_EVERY", 0)
        assert (plain.resume(), planned.resume()) == (True, False)
