"""Sessions that outlive a run: used again, checked before, dropped when they must be."""

import os
from uuid import uuid4

import pytest

from erp_connectors import sessions
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.connections import manage
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push_many
from erp_connectors.sessions import SessionPool
from erp_connectors.states import ConnectionStatus, ExportStatus
from erp_connectors.transports.memory import MemoryDropzone, MemoryTransport
from tests import factories
from tests.servers.asyncssh_server import Behaviour, DropConnection, asyncssh_server


@pytest.fixture
def behaviour():
    return Behaviour()


@pytest.fixture
def server(tmp_path, behaviour):
    for folder in ("in", "ack"):
        (tmp_path / folder).mkdir()
    with asyncssh_server(tmp_path, behaviour=behaviour) as running:
        yield running


@pytest.fixture
def connection(db, server):
    return factories.connection(factories.org(), server.config(io_timeout=3))


def pushed(connection, how_many=1):
    push_many(factories.ids(factories.drafts(connection.org, how_many)), actor=None)


def sent(connection):
    return ERPExport.objects.filter(connection=connection, status=ExportStatus.SENT).count()


def test_deliveries_and_polls_share_one_login(connection, behaviour):
    for _ in range(3):
        pushed(connection)
        assert deliver(connection.pk).sent == 1
        assert poll(connection.pk).error == ""

    assert behaviour.sessions == 1


def test_a_session_that_the_server_ended_is_replaced_once(connection, behaviour):
    pushed(connection)
    deliver(connection.pk)

    def cut(operation: str, path: str) -> None:
        raise DropConnection

    behaviour.interfere = cut
    pushed(connection)
    assert deliver(connection.pk).postponed == 1
    behaviour.interfere = None
    ERPExport.objects.update(next_attempt_at=None)
    ERPConnection.objects.update(retry_at=None)

    assert deliver(connection.pk).sent == 1
    assert poll(connection.pk).error == ""
    assert behaviour.sessions == 2


@pytest.mark.parametrize("run", [deliver, poll])
def test_a_session_that_died_unnoticed_costs_one_new_login_and_no_attempt(
    connection, behaviour, run, monkeypatch
):
    pushed(connection)
    deliver(connection.pk)
    (kept,) = sessions.session_pool._idle  # what a network that vanished does to it
    kept.transport._link._session._sock.shutdown(2)  # type: ignore[attr-defined]
    monkeypatch.setattr("erp_connectors.sftp.session.Session.alive", True)
    pushed(connection)

    run(connection.pk)

    assert poll(connection.pk).error == ""
    assert behaviour.sessions == 2
    assert deliver(connection.pk).postponed == 0
    assert sent(connection) == 2
    assert set(ERPExport.objects.values_list("attempts", flat=True)) == {1}


def test_a_changed_connection_drops_its_sessions_at_once(
    connection, server, behaviour, django_capture_on_commit_callbacks
):
    pushed(connection)
    deliver(connection.pk)
    (kept,) = sessions.session_pool._idle

    with django_capture_on_commit_callbacks(execute=True):
        manage.change_connection(connection.pk, actor=None, status=ConnectionStatus.DISABLED)

    assert not kept.transport.resume()
    assert sessions.session_pool._idle == []


def test_a_session_of_an_older_configuration_is_never_lent(connection, server, behaviour):
    """Another process changed it: nobody told this one."""
    pushed(connection)
    deliver(connection.pk)
    connection.config = server.config(io_timeout=4)
    connection.save()

    pushed(connection)
    deliver(connection.pk)

    assert behaviour.sessions == 2
    assert len(sessions.session_pool._idle) == 1


def test_a_connection_disabled_in_the_middle_of_a_delivery_stops_it(connection, settings, at_crashpoint):
    settings.DELIVERY_BATCH_SIZE = 1
    pushed(connection, 3)

    def disable() -> None:
        manage.change_connection(connection.pk, actor=None, status=ConnectionStatus.DISABLED)

    at_crashpoint("sent-committed", disable)
    report = deliver(connection.pk)

    assert report.sent == 1
    assert sent(connection) == 1
    assert "disabled" in report.held


class Recorded(MemoryTransport):
    def __init__(self) -> None:
        super().__init__(MemoryDropzone())
        self.closed = 0

    def resume(self) -> bool:
        return not self.closed

    def close(self) -> None:
        self.closed += 1


def test_idle_sessions_are_closed_and_no_more_are_kept_than_allowed():
    now = [0.0]
    session_pool = SessionPool(at_most=2, idle_seconds=60, clock=lambda: now[0])
    transports = [Recorded() for _ in range(3)]
    for transport in transports:
        session_pool.put_back(uuid4(), transport, ())
        now[0] += 20
    assert [transport.closed for transport in transports] == [1, 0, 0]

    now[0] = 85
    session_pool.close_idle()

    assert [transport.closed for transport in transports] == [1, 1, 0]
    session_pool.close()


def test_a_child_process_leaves_its_parents_sessions_alone():
    session_pool, connection_id, transport = SessionPool(at_most=2, idle_seconds=60), uuid4(), Recorded()
    session_pool.put_back(connection_id, transport, ())

    child = os.fork()
    if not child:
        os._exit(0 if session_pool.take(connection_id, ()) is None and not transport.closed else 1)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert session_pool.take(connection_id, ()) is transport
    session_pool.close()
