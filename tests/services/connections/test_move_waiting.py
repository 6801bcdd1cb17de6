"""What waits on a disabled connection is told why, and can be moved to the active one without being sent twice."""

import pytest
from django.utils import timezone

from erp_connectors import leases
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.services.connections import move_waiting
from erp_connectors.services.connections.manage import ConnectionConflict
from erp_connectors.services.connections.move_waiting import move_waiting_exports
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.status.waiting_reason import reason_for_waiting
from erp_connectors.states import ConnectionStatus, ExportStatus
from orderflow.audit.models import Action, AuditLog
from orderflow.messages import Message
from orderflow.tenancy.roles import Role
from tests import factories
from tests.services.conftest import Killed, die
from tests.services.delivery.test_deliver import later, pushed

BEFORE_STAGED = ["claimed", "archived-before-commit", "rendered-committed", "staged-before-commit"]


def disable(site):
    ERPConnection.objects.filter(pk=site.connection.pk).update(status=ConnectionStatus.DISABLED)
    site.connection.refresh_from_db()


@pytest.fixture
def replace(site):
    """Disable the connection and make another active; returns that one and its folder."""

    def make():
        disable(site)
        inbox = site.inbox.with_name("new")
        inbox.mkdir(exist_ok=True)
        return factories.connection(site.org, {**site.connection.config, "export_path": str(inbox)}), inbox

    return make


@pytest.fixture
def integrator(site):
    return factories.user(site.org, Role.INTEGRATOR)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_more_than_one_statement_takes_are_moved_all(site, replace, integrator, monkeypatch):
    monkeypatch.setattr(move_waiting, "AT_ONCE", 2)
    pushed(site)
    new, _ = replace()

    assert move_waiting_exports(site.connection.pk, actor=integrator).moved == 3
    assert ERPExport.objects.filter(connection=new).count() == 3


def test_what_waits_is_moved_and_sent_once(site, replace, integrator):
    exports = pushed(site)
    new, inbox = replace()
    assert deliver(site.connection.pk).held

    done = move_waiting_exports(site.connection.pk, actor=integrator)

    assert (done.target, done.moved, done.staged) == (new, 3, 0)
    assert deliver(new.pk).sent == 3
    assert names(inbox) == sorted(export.filename for export in exports)
    assert names(site.inbox) == []
    assert ERPConnection.objects.get(pk=site.connection.pk).delivery_lease_token == ""
    for export in exports:
        event = export.events.get(what="moved")
        assert event.actor == integrator
        assert event.message == Message("event.moved", source=str(site.connection), target=str(new))
        entry = AuditLog.objects.get(action=Action.EXPORT_MOVED, entity_id=str(export.pk))
        assert (entry.before, entry.after) == (
            {"connection_id": str(site.connection.pk)},
            {"connection_id": str(new.pk)},
        )
        assert entry.actor == integrator


@pytest.mark.parametrize("point", BEFORE_STAGED)
@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.every_database
def test_a_worker_that_had_claimed_them_publishes_nothing_when_it_wakes_up(
    site, replace, integrator, at_crashpoint, point, killed
):
    exports = pushed(site)
    moved = {}

    def meanwhile():
        moved["new"], moved["inbox"] = replace()
        later(site.connection)
        moved["count"] = move_waiting_exports(site.connection.pk, actor=integrator).moved
        deliver(moved["new"].pk)
        if killed:
            die()

    at_crashpoint(point, meanwhile)
    if killed:
        with pytest.raises(Killed):
            deliver(site.connection.pk)
    else:
        assert deliver(site.connection.pk).busy

    assert moved["count"] == 3
    assert names(moved["inbox"]) == sorted(export.filename for export in exports)
    assert list(site.published()) == []
    assert set(ERPExport.objects.values_list("status", "connection")) == {
        (ExportStatus.SENT, moved["new"].pk)
    }


@pytest.mark.parametrize("point", ["staged-committed", "published-before-commit"])
def test_what_was_staged_stays_and_is_settled_where_it_lies(site, replace, integrator, at_crashpoint, point):
    exports = pushed(site)
    at_crashpoint(point, die)
    with pytest.raises(Killed):
        deliver(site.connection.pk)
    later(site.connection)
    new, inbox = replace()

    done = move_waiting_exports(site.connection.pk, actor=integrator)

    assert (done.moved, done.staged) == (0, 3)
    assert not deliver(new.pk).sent
    assert names(inbox) == []
    ERPConnection.objects.filter(pk=new.pk).update(status=ConnectionStatus.DISABLED)
    ERPConnection.objects.filter(pk=site.connection.pk).update(status=ConnectionStatus.ACTIVE)
    assert deliver(site.connection.pk).sent == 3
    assert sorted(site.published()) == sorted(export.filename for export in exports)


def test_while_a_worker_delivers_nothing_is_moved(site, replace, integrator):
    pushed(site)
    replace()
    held = leases.take(site.connection.pk, leases.DELIVERY)

    with pytest.raises(ConnectionConflict):
        move_waiting_exports(site.connection.pk, actor=integrator)

    assert set(ERPExport.objects.values_list("connection", flat=True)) == {site.connection.pk}
    assert held
    leases.renew(held)


def test_it_is_refused_for_an_active_connection_without_another_and_for_other_orgs(site, integrator):
    pushed(site)
    with pytest.raises(ConnectionConflict):
        move_waiting_exports(site.connection.pk, actor=integrator)
    disable(site)
    with pytest.raises(ConnectionConflict):
        move_waiting_exports(site.connection.pk, actor=integrator)
    other = factories.org()
    factories.connection(other, site.connection.config)
    with pytest.raises(ERPConnection.DoesNotExist):
        move_waiting_exports(site.connection.pk, actor=factories.user(other, Role.ADMIN))

    assert set(ERPExport.objects.values_list("connection", flat=True)) == {site.connection.pk}
    assert ERPConnection.objects.get(pk=site.connection.pk).delivery_lease_token == ""


def test_why_it_waits_is_said(site):
    (export,) = pushed(site, 1)
    assert reason_for_waiting(export) is None

    site.inbox.rmdir()
    deliver(site.connection.pk)
    held = ERPExport.objects.select_related("connection").get()
    assert reason_for_waiting(held)["code"] == "FOLDER_MISSING"

    disable(site)
    disabled = reason_for_waiting(ERPExport.objects.select_related("connection").get())
    assert disabled["code"] == "CONNECTION_DISABLED"
    assert "move" in disabled["hint"]

    ERPExport.objects.update(status=ExportStatus.SENT, sent_at=timezone.now())
    assert reason_for_waiting(ERPExport.objects.get()) is None
