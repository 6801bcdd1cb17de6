from datetime import timedelta

import pytest
from django.utils import timezone

from erp_connectors.faults import CONNECTION_LOST, Fault
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push_many
from erp_connectors.states import ExportStatus, FailedAs
from erp_connectors.transports.filesystem import FilesystemTransport
from tests import factories

ENDED = [
    {"status": ExportStatus.SENT},
    {"status": ExportStatus.ACKED},
    {"status": ExportStatus.FAILED, "failed_as": FailedAs.NOT_SENT},
    {"status": ExportStatus.FAILED, "failed_as": FailedAs.REFUSED},
]


YESTERDAY = timezone.now() - timedelta(days=1)


@pytest.fixture(autouse=True)
def delivered_before(site):
    """A new connection has nothing of ours to look for."""
    ERPConnection.objects.update(last_success_at=YESTERDAY)


def an_export(site, **fields):
    """An export that no delivery of this test is about."""
    order = factories.draft(site.org)
    export = push_many([order.pk], actor=None)[order.pk].export
    waiting = {"attempts": 3, "next_attempt_at": timezone.now() + timedelta(hours=1)}
    ERPExport.objects.filter(pk=export.pk).update(**waiting, **fields)
    return ERPExport.objects.get(pk=export.pk)


def leave(site, *names):
    for name in names:
        (site.inbox / name).write_bytes(b"{}")


def deliver_something(site):
    """The first delivery of a day looks for leftovers."""
    order = factories.draft(site.org)
    push_many([order.pk], actor=None)
    assert deliver(site.connection.pk).sent == 1


@pytest.mark.parametrize("state", ENDED, ids=lambda state: state.get("failed_as") or state["status"])
def test_what_an_ended_export_left_is_removed(site, state):
    export = an_export(site, **state)
    leave(site, f"{export.filename}.1.tmp", f"{export.filename}.3.tmp", f"{export.filename}.2.withdrawn.tmp")

    deliver_something(site)

    assert site.leftovers() == []


def test_what_decides_an_unknown_outcome_stays(site):
    export = an_export(site, status=ExportStatus.FAILED, failed_as=FailedAs.UNKNOWN)
    names = {f"{export.filename}.3.tmp", f"{export.filename}.3.withdrawn.tmp"}
    leave(site, *names)

    deliver_something(site)

    assert set(site.leftovers()) == names


def test_a_pending_export_keeps_what_it_staged_and_loses_what_it_gave_up(site):
    staged, fresh = an_export(site), an_export(site)
    ERPExport.objects.filter(pk=staged.pk).update(
        staged_at=timezone.now(), staged_path=f"{site.inbox}/{staged.filename}.2.tmp"
    )
    leave(site, *(f"{export.filename}.{n}.tmp" for export in (staged, fresh) for n in (1, 2, 3)))

    deliver_something(site)

    assert set(site.leftovers()) == {
        f"{staged.filename}.2.tmp",
        f"{staged.filename}.3.tmp",
        f"{fresh.filename}.3.tmp",
    }


def test_other_peoples_files_are_left_alone(site, make_site):
    own = an_export(site, status=ExportStatus.SENT)
    foreign = an_export(make_site(), status=ExportStatus.SENT)
    names = {
        "upload.tmp",
        "sales_order_00000000_20260101_000000_00000000.json.1.tmp",
        f"{foreign.filename}.1.tmp",
        f"{own.filename}.tmp",
        f"{own.filename}.0.tmp",
        f"x{own.filename}.1.tmp",
        f"{own.filename}.1.tmp.tmp",
    }
    leave(site, *names)
    (site.inbox / f"{own.filename}.1.tmp").mkdir()

    deliver_something(site)

    assert set(site.leftovers()) == {*names, f"{own.filename}.1.tmp"}


def test_the_folder_is_listed_once_a_day_and_after_a_worker_was_lost(site, monkeypatch):
    listed = []
    real = FilesystemTransport._list

    def counted(self, folder):
        listed.append(folder)
        return real(self, folder)

    monkeypatch.setattr(FilesystemTransport, "_list", counted)
    deliver_something(site)
    deliver_something(site)
    assert len(listed) == 1

    ERPConnection.objects.update(delivery_lease_token="gone", delivery_lease_until=YESTERDAY)
    deliver_something(site)
    assert len(listed) == 2

    ERPConnection.objects.update(last_success_at=None)
    deliver_something(site)
    assert len(listed) == 2


def test_a_folder_that_can_not_be_listed_holds_up_no_order(site, monkeypatch):
    def lost(self, folder):
        raise Fault(CONNECTION_LOST)

    monkeypatch.setattr(FilesystemTransport, "_list", lost)

    deliver_something(site)
