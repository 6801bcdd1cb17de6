"""A server that allows less than others costs no order an attempt; its limits are remembered, shown, and forgotten."""

import pytest

from erp_connectors.dropzones import dropzone_of
from erp_connectors.models import ERPConnection
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.connections import manage
from erp_connectors.services.connections.connection_test import test_connection as run_test
from erp_connectors.services.connections.server_limits import messages_of, store
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push_many
from erp_connectors.sessions import session_pool
from erp_connectors.sftp import wire
from erp_connectors.states import ExportStatus
from erp_connectors.transports.base import ServerLimits
from orderflow.messages import Message
from tests import factories
from tests.servers.hostile_sftp import Attacks, Files, Opening, hostile_server
from tests.servers.odd_sftp import Limit, StrictFiles, erlang, few_files
from tests.servers.ssh import PASSWORD

pytestmark = pytest.mark.deep

ORDERS = 70
ACK_FOLDERS = frozenset({"/", "/in", "/ack", "/ack/processed", "/ack/error"})


def second_channel(opening):
    return Attacks(
        opening=lambda number: opening if number > 1 else Opening.WHOLE,
        files_of=lambda files: StrictFiles(shared=files),
    )


SERVERS = {
    "few files, a failure": (lambda: few_files(Limit(10)), {"files_open": 10}),
    "few files, denied": (lambda: few_files(Limit(16, wire.PERMISSION_DENIED)), {"files_open": 16}),
    "handles reused": (lambda: erlang([]), {"reuses_handles": True}),
    "the second channel ends all": (lambda: second_channel(Opening.ENDS_ALL), {"channels": 1}),
    "the second channel is silent": (lambda: second_channel(Opening.NO_SFTP), {"channels": 1}),
}


@pytest.fixture
def erp_on(tmp_path, erp_at):
    """A connection to a server that does this, with orders that wait."""
    running = []

    def make(attacks, files, *, orders=ORDERS):
        server = hostile_server(attacks, root=tmp_path, files=files)
        running.append(server)
        erp = erp_at(server.__enter__(), connect_timeout=1.5, io_timeout=5, password=PASSWORD)
        drafts = [order.pk for order in factories.drafts(erp.connection.org, orders)]
        push_many(drafts, actor=None)
        return erp

    yield make
    session_pool.close()
    for server in running:
        server.__exit__(None, None, None)


def limits(erp):
    return ERPConnection.objects.values_list("server_limits", flat=True).get(pk=erp.connection.pk)


def answer_all(erp, files):
    for export in erp.connection.exports.all():
        answer = f'{{"status": "ACKED", "erp_order_id": "SO-{export.pk}"}}'
        files.content[f"/ack/ack_{export.filename}"] = bytearray(answer.encode())


def assert_each_has_its_own_answer(erp):
    exports = list(erp.connection.exports.all())
    assert {export.status for export in exports} == {ExportStatus.ACKED}
    assert all(export.erp_order_id == f"SO-{export.pk}" for export in exports)


def published(files):
    return {path: bytes(data) for path, data in files.content.items() if path.endswith(".json")}


@pytest.mark.parametrize(("attacks", "learned"), SERVERS.values(), ids=SERVERS)
def test_every_order_goes_out_at_the_first_attempt_and_the_limit_is_remembered(erp_on, attacks, learned):
    files = Files()
    erp = erp_on(attacks(), files)

    report = deliver(erp.connection.pk)

    assert (report.sent, report.failed, report.postponed) == (ORDERS, 0, 0)
    exports = list(erp.connection.exports.all())
    assert {(export.status, export.attempts) for export in exports} == {(ExportStatus.SENT, 1)}
    content = published(files)
    assert all(str(export.draft_order_id).encode() in content[export.dropzone_path] for export in exports)
    assert limits(erp).items() >= learned.items()


@pytest.mark.parametrize(("attacks", "learned"), SERVERS.values(), ids=SERVERS)
def test_answers_reach_their_orders(erp_on, attacks, learned):
    files = Files(folders=set(ACK_FOLDERS))
    erp = erp_on(attacks(), files)
    deliver(erp.connection.pk)
    answer_all(erp, files)

    assert poll(erp.connection.pk).error == ""

    assert_each_has_its_own_answer(erp)


def test_answers_reach_their_orders_if_the_limit_is_met_while_reading(erp_on):
    files = Files(folders=set(ACK_FOLDERS))
    erp = erp_on(erlang([]), files)
    deliver(erp.connection.pk)
    answer_all(erp, files)
    session_pool.close()
    ERPConnection.objects.update(server_limits={})

    poll(erp.connection.pk)

    assert_each_has_its_own_answer(erp)
    assert limits(erp) == {"reuses_handles": True}


@pytest.mark.parametrize(
    ("attacks", "learned"),
    [
        SERVERS["few files, a failure"],
        SERVERS["handles reused"],
        SERVERS["the second channel ends all"],
        (lambda: Attacks(files_of=lambda files: StrictFiles(shared=files)), {}),
    ],
)
def test_the_connection_test_finds_and_reports_the_limits(erp_on, attacks, learned):
    files = Files()
    erp = erp_on(attacks(), files, orders=1)

    steps = run_test(erp.connection.pk, actor=None)

    assert all(step.ok for step in steps)
    limits_found = Message("test.server_limits", limits=tuple(messages_of(ServerLimits(**learned))))
    assert str(limits_found) in str(steps[-1].found)
    assert limits(erp) == learned
    report = ERPConnection.objects.get(pk=erp.connection.pk).test_report
    assert report["server_capabilities"]["own_handles"] is not learned.get("reuses_handles", False)
    assert report["server_capabilities"]["several_channels"] is ("channels" not in learned)
    assert not [path for path in files.content if "test_connection" in path]


def test_a_passed_test_and_a_change_forget_what_is_no_longer_so(erp_on):
    erp = erp_on(Attacks(files_of=lambda files: StrictFiles(shared=files)), Files(), orders=1)
    for forget in (
        lambda: run_test(erp.connection.pk, actor=None),
        lambda: manage.change_connection(
            erp.connection.pk, actor=None, config={**erp.connection.config, "io_timeout": 7}
        ),
    ):
        ERPConnection.objects.update(server_limits={"files_open": 3, "reuses_handles": True})
        forget()
        assert limits(erp) == {}


def test_what_a_run_learned_is_not_stored_for_a_connection_that_was_changed_meanwhile(erp_on):
    erp = erp_on(Attacks(), Files(), orders=1)
    dropzone = dropzone_of(erp.connection)
    manage.change_connection(erp.connection.pk, actor=None, config={**erp.connection.config, "io_timeout": 7})

    store(erp.connection.pk, dropzone, ServerLimits(files_open=3))

    assert limits(erp) == {}
