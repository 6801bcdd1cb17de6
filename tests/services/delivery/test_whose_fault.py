"""Whose fault it is decides: what the connection, the database or a restart causes ends no order."""

import pytest
from django.db import DataError, InterfaceError, OperationalError, ProgrammingError

from erp_connectors import faults
from erp_connectors.faults import Fault
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.connections.connection_test import test_connection as run_test
from erp_connectors.services.delivery import deliver as delivery
from erp_connectors.services.delivery import resolve_unknown
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports import transitions
from erp_connectors.services.exports.push import retry_push
from erp_connectors.states import ExportStatus, FailedAs
from erp_connectors.transports.filesystem import FilesystemTransport
from tests import factories
from tests.services.conftest import Killed, die
from tests.services.delivery.test_deliver import assert_all_sent_once, later, lost, pushed  # noqa: F401  # a fixture

OF_A_MOMENT = [kind for kind in faults.FAULT_KINDS.values() if kind.scope is faults.Scope.TRANSIENT]
OF_THE_CONNECTION = [kind for kind in faults.FAULT_KINDS.values() if kind.scope is faults.Scope.CONNECTION]


def refusing(kind, *, only=lambda path: True):
    """A stage that answers with this fault for some paths."""
    real = FilesystemTransport._stage

    def stage(self, uploads):
        good = iter(real(self, [upload for upload in uploads if not only(upload.path)]))
        return [Fault(kind, path=u.path) if only(u.path) else next(good) for u in uploads]

    return stage


def fresh(exports):
    return list(
        ERPExport.objects.filter(pk__in=[export.pk for export in exports]).order_by("created_at", "pk")
    )


@pytest.mark.not_of_database
@pytest.mark.parametrize("kind", OF_THE_CONNECTION, ids=lambda kind: kind.code)
@pytest.mark.parametrize("at", ["connect", "stage"])
def test_a_fault_of_the_connection_leaves_every_order_pending_with_its_reason(
    site, settings, monkeypatch, kind, at
):
    settings.DELIVERY_MAX_ATTEMPTS = 1
    exports = pushed(site)
    with monkeypatch.context() as broken:
        if at == "stage":
            broken.setattr(FilesystemTransport, "_stage", refusing(kind))
        else:
            broken.setattr(FilesystemTransport, "open", lambda self: (_ for _ in ()).throw(Fault(kind)))
        for _ in range(2):
            report = deliver(site.connection.pk)
            assert (report.sent, report.failed) == (0, 0)
            later(site.connection)

    site.connection.refresh_from_db()
    assert site.connection.circuit_reason["code"] == kind.code
    assert {(one.status, one.error_json["code"], one.next_attempt_at) for one in fresh(exports)} == {
        (ExportStatus.PENDING, kind.code, None)
    }
    assert deliver(site.connection.pk).sent == 3
    assert_all_sent_once(site, exports)
    site.connection.refresh_from_db()
    assert not site.connection.circuit_open


@pytest.mark.parametrize("kind", OF_A_MOMENT, ids=lambda kind: kind.code)
def test_a_server_that_is_away_for_long_ends_no_order(site, settings, monkeypatch, kind):
    settings.DELIVERY_MAX_ATTEMPTS = 2
    exports = pushed(site)
    with monkeypatch.context() as away:
        away.setattr(FilesystemTransport, "open", lambda self: (_ for _ in ()).throw(Fault(kind)))
        for _ in range(4):
            report = deliver(site.connection.pk)
            assert (report.sent, report.failed) == (0, 0)
            later(site.connection)

    assert {
        (one.status, one.error_json["code"], one.failed_tries, one.next_attempt_at) for one in fresh(exports)
    } == {(ExportStatus.PENDING, kind.code, 0, None)}
    assert [one.events.filter(what="held").count() for one in exports] == [1, 1, 1]
    site.connection.refresh_from_db()
    assert site.connection.circuit_reason["code"] == kind.code, "users are notified once it is away for long"
    assert deliver(site.connection.pk).sent == 3
    site.connection.refresh_from_db()
    assert not site.connection.circuit_open
    assert_all_sent_once(site, exports)


def test_an_order_whose_publication_is_unknown_waits_for_a_server_that_is_away(site, settings, monkeypatch):
    settings.DELIVERY_MAX_ATTEMPTS = 1
    exports = pushed(site, 1)
    with monkeypatch.context() as killed, pytest.raises(Killed):
        killed.setattr(transitions, "publish", lambda *args, **options: die())
        deliver(site.connection.pk)
    with monkeypatch.context() as away:
        refused = Fault(faults.CONNECTION_REFUSED)
        away.setattr(FilesystemTransport, "open", lambda self: (_ for _ in ()).throw(refused))
        for _ in range(2):
            later(site.connection)
            deliver(site.connection.pk)
    later(site.connection)

    assert deliver(site.connection.pk).sent == 1
    assert_all_sent_once(site, exports)


def test_only_one_event_tells_that_it_is_held_however_often_that_is_found(site, monkeypatch):
    (export,) = pushed(site, 1)
    monkeypatch.setattr(FilesystemTransport, "_stage", refusing(faults.DISK_FULL))
    for _ in range(3):
        deliver(site.connection.pk)
        later(site.connection)

    assert export.events.filter(what="held").count() == 1


def test_a_probe_that_succeeds_does_not_close_the_circuit_before_an_order_has_passed(site, monkeypatch):
    """A small test file fits on a disk that is full for the order: nothing is announced to and fro."""
    exports = pushed(site)
    opened = set()
    with monkeypatch.context() as full:
        orders = refusing(faults.DISK_FULL, only=lambda path: "sales_order" in path)
        full.setattr(FilesystemTransport, "_stage", orders)
        for _ in range(4):
            deliver(site.connection.pk)
            opened |= set(ERPConnection.objects.values_list("circuit_opened_at", "failures_in_row"))
            later(site.connection)
    assert {at for at, _ in opened} == {at for at, _ in opened} - {None}
    assert len({at for at, _ in opened}) == 1
    assert max(failures for _, failures in opened) == 4, "it waits longer each time"

    deliver(site.connection.pk)

    assert_all_sent_once(site, exports)
    assert not ERPConnection.objects.get(pk=site.connection.pk).circuit_open


def test_one_order_that_meets_it_while_others_pass_holds_nobody_up(site, monkeypatch):
    exports = pushed(site)
    odd = fresh(exports)[0]
    with monkeypatch.context() as broken:
        broken.setattr(
            FilesystemTransport,
            "_stage",
            refusing(faults.PERMISSION_DENIED, only=lambda p: odd.filename in p),
        )
        assert deliver(site.connection.pk).sent == 2

    odd.refresh_from_db()
    site.connection.refresh_from_db()
    assert (odd.status, odd.error_json["code"]) == (ExportStatus.PENDING, "PERMISSION_DENIED")
    assert odd.next_attempt_at
    assert not site.connection.circuit_open
    assert all(step.ok for step in run_test(site.connection.pk, actor=None))
    assert deliver(site.connection.pk).sent == 1, "a passed test ends the waiting"


@pytest.mark.parametrize("error", [OperationalError, InterfaceError, ProgrammingError])
def test_a_database_fault_is_no_attempt_and_no_reason_to_wait(site, settings, monkeypatch, error):
    settings.DELIVERY_MAX_ATTEMPTS = 1
    exports = pushed(site)
    before = ERPConnection.objects.values().get(pk=site.connection.pk)

    def fails(*args, **kwargs):
        raise error("the database is away")

    steps = ((delivery, "_render"), (delivery, "_stage"), (delivery, "add_events"), (transitions, "publish"))
    for module, step in steps:
        with monkeypatch.context() as broken:
            broken.setattr(module, step, fails)
            with pytest.raises(error):
                deliver(site.connection.pk)
    after = ERPConnection.objects.values().get(pk=site.connection.pk)

    assert after == before
    assert {(one.status, one.error_json) for one in fresh(exports)} == {(ExportStatus.PENDING, None)}
    assert deliver(site.connection.pk).sent == 3
    assert_all_sent_once(site, exports)


def test_what_the_database_refuses_of_one_order_is_a_fault_of_ours(site, settings, monkeypatch):
    settings.DELIVERY_MAX_ATTEMPTS = 1
    (export,) = pushed(site, 1)
    monkeypatch.setattr(delivery, "_stage", lambda *_: (_ for _ in ()).throw(DataError("value too long")))

    deliver(site.connection.pk)

    export.refresh_from_db()
    assert (export.status, export.error_json["code"]) == (ExportStatus.FAILED, "INTERNAL_ERROR")


def test_a_database_fault_in_a_poll_is_no_error_of_the_ack_folder(site, monkeypatch):
    (site.acks / "ack_x.json").write_bytes(b"{}")
    monkeypatch.setattr(
        "erp_connectors.services.acks.poll.with_rows",
        lambda *_: (_ for _ in ()).throw(OperationalError("away")),
    )
    with pytest.raises(OperationalError):
        poll(site.connection.pk)

    site.connection.refresh_from_db()
    assert (site.connection.poll_error, site.connection.poll_failures_in_row) == (None, 0)


def test_our_own_restarts_use_up_no_attempt(site, settings, at_crashpoint):
    settings.DELIVERY_MAX_ATTEMPTS = 2
    (export,) = pushed(site, 1)
    for _ in range(5):
        at_crashpoint("claimed", die)
        with pytest.raises(Killed):
            deliver(site.connection.pk)
        later(site.connection)
    site.inbox.rename(site.inbox.with_name("away"))
    deliver(site.connection.pk)
    later(site.connection)
    site.inbox.with_name("away").rename(site.inbox)

    assert deliver(site.connection.pk).sent == 1
    export.refresh_from_db()
    assert export.attempts > settings.DELIVERY_MAX_ATTEMPTS


def test_an_earlier_connection_that_is_broken_does_not_hold_this_one(site, lost, monkeypatch):  # noqa: F811
    """An unknown outcome must be settled where it was staged; that nobody gets there is not this connection's fault."""
    first = lost(renamed=False)
    old = ERPConnection.objects.get(pk=site.connection.pk)
    ERPConnection.objects.filter(pk=old.pk).update(status="DISABLED")
    inbox = site.inbox.with_name("new")
    inbox.mkdir()
    new = factories.connection(site.org, {**old.config, "export_path": str(inbox)})
    second = retry_push(first.draft_order_id, actor=None).export
    other = pushed(site, 1)[0]
    assert {second.connection_id, other.connection_id} == {new.pk}
    monkeypatch.setattr(resolve_unknown, "_withdraw_elsewhere", lambda export: Fault(faults.LOGIN_REFUSED))

    report = deliver(new.pk)

    second.refresh_from_db()
    new.refresh_from_db()
    assert (report.sent, new.circuit_open) == (1, False)
    assert (second.status, second.error_json["code"]) == (ExportStatus.PENDING, "LOGIN_REFUSED")
    assert first.failed_as == FailedAs.UNKNOWN

    later(new)
    deliver(new.pk)
    new.refresh_from_db()
    assert not new.circuit_open
