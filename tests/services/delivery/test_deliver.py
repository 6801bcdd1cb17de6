import json
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.storage import storages
from django.utils import timezone

from erp_connectors import archive, faults, leases
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.services.connections.connection_test import test_connection as run_test
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.payload_store import bytes_of
from erp_connectors.services.exports.push import push_many, retry_push
from erp_connectors.services.upkeep import sweep
from erp_connectors.states import ExportStatus, FailedAs
from erp_connectors.transports.filesystem import FilesystemTransport
from orderflow.audit.models import Action, AuditLog
from orderflow.orders.models import Customer, DraftOrder, DraftOrderLine
from orderflow.orders.states import DraftStatus
from tests import factories
from tests.services.conftest import Killed, die

POINTS = [
    "claimed",
    "archived-before-commit",
    "rendered-committed",
    "staged-before-commit",
    "staged-committed",
    "published-before-commit",
    "sent-committed",
]


def pushed(site, how_many=3, **fields):
    orders = factories.drafts(site.org, how_many, **fields)
    results = push_many(factories.ids(orders), actor=None)
    return [results[order.pk].export for order in orders]


def later(connection, seconds=3600):
    """Let the time pass that leases and back-offs wait for."""
    past = timezone.now() - timedelta(seconds=seconds)
    ERPConnection.objects.filter(pk=connection.pk, delivery_lease_until__isnull=False).update(
        delivery_lease_until=past
    )
    ERPConnection.objects.filter(pk=connection.pk, retry_at__isnull=False).update(retry_at=past)
    ERPExport.objects.filter(connection=connection, next_attempt_at__isnull=False).update(
        next_attempt_at=past
    )


@pytest.fixture
def lost(site, settings, monkeypatch):
    """An export that FAILED with its outcome unknown; ``renamed``: the rename was done, its reply lost."""

    def make(*, renamed):
        settings.DELIVERY_MAX_ATTEMPTS = 1
        (export,) = pushed(site, 1)
        gone = faults.Fault(faults.CONNECTION_LOST)
        path = "erp_connectors.transports.filesystem.FilesystemTransport"
        with monkeypatch.context() as link:
            real = __import__(
                "erp_connectors.transports.filesystem", fromlist=["x"]
            ).FilesystemTransport._publish

            def publish(self, moves):
                if renamed:
                    real(self, moves)
                return [gone] * len(moves)

            link.setattr(f"{path}._publish", publish)
            link.setattr(f"{path}._move", lambda self, moves: [gone] * len(moves))
            deliver(site.connection.pk)
        settings.DELIVERY_MAX_ATTEMPTS = 5
        export.refresh_from_db()
        assert (export.status, export.failed_as) == (ExportStatus.FAILED, FailedAs.UNKNOWN)
        later(site.connection)
        return export

    return make


def assert_all_sent_once(site, exports):
    fresh = ERPExport.objects.filter(pk__in=[export.pk for export in exports])
    assert {export.status for export in fresh} == {ExportStatus.SENT}
    assert site.published() == {export.filename: bytes_of(export) for export in fresh}
    assert site.leftovers() == []
    drafts = DraftOrder.objects.filter(exports__in=fresh)
    assert {draft.status for draft in drafts} == {DraftStatus.PUSHED}
    assert AuditLog.objects.filter(action=Action.DRAFT_PUSHED).count() == len(exports)


def test_every_approved_order_arrives_whole_and_is_archived(site):
    exports = pushed(site)

    report = deliver(site.connection.pk)

    assert (report.sent, report.failed, report.held) == (3, 0, "")
    assert_all_sent_once(site, exports)
    for export in ERPExport.objects.all():
        assert storages["exports"].open(export.export_storage_key).read() == site.published()[export.filename]
        assert export.dropzone_path == str(site.inbox / export.filename)
        assert [e.what for e in export.events.all()] == ["pushed", "rendered", "staged", "published"]


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("erp_takes_files", [False, True])
@pytest.mark.every_database
def test_a_worker_killed_at_any_step_publishes_once(site, at_crashpoint, point, erp_takes_files):
    exports = pushed(site)
    taken = {}

    def killed():
        if erp_takes_files:
            for path in site.inbox.glob("*.json"):
                taken[path.name] = path.read_bytes()
                path.unlink()
        die()

    at_crashpoint(point, killed)
    with pytest.raises(Killed):
        deliver(site.connection.pk)
    later(site.connection)
    deliver(site.connection.pk)

    for name, body in taken.items():
        assert name not in site.published()
        (site.inbox / name).write_bytes(body)
    assert_all_sent_once(site, exports)


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.every_database
def test_a_worker_that_wakes_up_late_changes_nothing(site, at_crashpoint, point):
    exports = pushed(site)

    def overtaken():
        later(site.connection)
        deliver(site.connection.pk)

    at_crashpoint(point, overtaken)
    report = deliver(site.connection.pk)

    assert report.busy or point == "sent-committed"
    deliver(site.connection.pk)
    assert_all_sent_once(site, exports)


def test_a_worker_that_wakes_up_late_leaves_the_archived_copies_as_they_were_sent(site, at_crashpoint):
    exports = pushed(site)

    def overtaken():
        later(site.connection)
        deliver(site.connection.pk)
        Customer.objects.update(name="Anders & Co.")

    at_crashpoint("claimed", overtaken)
    assert deliver(site.connection.pk).busy

    assert_all_sent_once(site, exports)


@pytest.mark.parametrize(
    ("point", "killed"),
    [
        ("staged-before-commit", False),
        ("staged-committed", False),
        ("staged-committed", True),
        ("published-before-commit", True),
    ],
)
def test_a_folder_that_is_another_one_now_proves_no_publication(site, at_crashpoint, point, killed):
    """A share that is unmounted leaves its empty mount point: what is missing there was not taken by the ERP."""
    (export,) = pushed(site, 1)
    share = site.inbox.with_name("share")

    def unmount():
        site.inbox.rename(share)
        site.inbox.mkdir()
        if killed:
            die()

    at_crashpoint(point, unmount)
    with pytest.raises(Killed) if killed else nullcontext():
        deliver(site.connection.pk)
    later(site.connection)
    if killed:
        deliver(site.connection.pk)
        later(site.connection)

    export.refresh_from_db()
    assert (export.status, export.error_json["code"]) == (ExportStatus.PENDING, "DESTINATION_MOVED")

    site.inbox.rmdir()
    share.rename(site.inbox)
    assert deliver(site.connection.pk).sent == 1
    assert list(site.published()) == [export.filename]
    assert site.leftovers() == []


def test_an_unknown_outcome_is_not_settled_in_another_folder(site, lost):
    first = lost(renamed=False)
    share = site.inbox.with_name("share")
    site.inbox.rename(share)
    site.inbox.mkdir()

    second = retry_push(first.draft_order_id, actor=None).export
    deliver(site.connection.pk)
    second.refresh_from_db()
    assert (second.status, second.error_json["code"]) == (ExportStatus.PENDING, "DESTINATION_MOVED")

    site.inbox.rmdir()
    share.rename(site.inbox)
    later(site.connection)
    assert deliver(site.connection.pk).sent == 1
    assert list(site.published()) == [second.filename]


def test_two_workers_do_not_deliver_one_connection(site):
    pushed(site)
    lease = leases.take(site.connection.pk, leases.DELIVERY)
    assert lease

    assert deliver(site.connection.pk).busy
    assert site.published() == {}

    leases.release(lease)
    assert deliver(site.connection.pk).sent == 3


def test_an_order_that_does_not_render_fails_alone(site):
    good, bad = pushed(site, 2)
    DraftOrderLine.objects.filter(draft_order=bad.draft_order).update(internal_sku="")

    report = deliver(site.connection.pk)

    bad.refresh_from_db()
    assert (report.sent, report.failed) == (1, 1)
    assert bad.failed_as == FailedAs.NOT_SENT
    assert bad.error_json["code"] == "SCHEMA_VIOLATION"
    assert "lines/0/internal_sku" in str(bad.error_json["params"]["detail"])
    assert list(site.published()) == [good.filename]


def test_a_missing_folder_holds_the_queue_until_a_test_succeeds(site):
    exports = pushed(site)
    site.inbox.rename(site.inbox.with_name("away"))

    report = deliver(site.connection.pk)

    site.connection.refresh_from_db()
    assert report.failed == 0
    waiting = ERPExport.objects.filter(pk__in=[e.pk for e in exports])
    assert {(one.status, one.error_json["code"]) for one in waiting} == {
        (ExportStatus.PENDING, "FOLDER_MISSING")
    }
    assert site.connection.circuit_reason["code"] == "FOLDER_MISSING"
    assert deliver(site.connection.pk).held

    site.inbox.with_name("away").rename(site.inbox)
    assert all(step.ok for step in run_test(site.connection.pk, actor=None))
    assert deliver(site.connection.pk).sent == 3
    assert_all_sent_once(site, exports)


def test_an_open_circuit_is_probed_after_its_back_off(site):
    pushed(site)
    site.inbox.rename(site.inbox.with_name("away"))
    deliver(site.connection.pk)
    site.inbox.with_name("away").rename(site.inbox)

    later(site.connection)

    assert deliver(site.connection.pk).sent == 3
    site.connection.refresh_from_db()
    assert not site.connection.circuit_open


class BrokenStorage:
    def save(self, name, content):
        raise OSError("the bucket is gone")


def test_an_outage_of_the_archive_holds_up_no_order(site, monkeypatch):
    exports = pushed(site)
    with monkeypatch.context() as outage:
        outage.setattr(archive, "storages", {"exports": BrokenStorage()})
        assert deliver(site.connection.pk).sent == 3

    assert ERPExport.objects.filter(payload__isnull=False, archived_at=None).count() == 3
    assert sweep.archive_backlog() == 3
    assert_all_sent_once(site, exports)
    for export in ERPExport.objects.all():
        assert storages["exports"].open(export.export_storage_key).read() == site.published()[export.filename]


def test_what_can_be_delivered_now_is_found_without_any_wake_up(site):
    pushed(site)
    assert sweep.due_deliveries(timezone.now()) == [site.connection.pk]

    deliver(site.connection.pk)
    assert sweep.due_deliveries(timezone.now()) == []


def test_a_transient_fault_is_retried_and_then_needs_attention(site, settings, monkeypatch):
    settings.DELIVERY_MAX_ATTEMPTS = 3
    (export,) = pushed(site, 1)
    full = faults.Fault(faults.REMOTE_FAILURE)
    monkeypatch.setattr(
        "erp_connectors.transports.filesystem.FilesystemTransport._stage",
        lambda self, uploads: [full] * len(uploads),
    )
    for attempt in (1, 2):
        deliver(site.connection.pk)
        export.refresh_from_db()
        assert (export.status, export.attempts) == (ExportStatus.PENDING, attempt)
        assert export.next_attempt_at > timezone.now()
        later(site.connection)

    deliver(site.connection.pk)

    export.refresh_from_db()
    assert (export.status, export.failed_as) == (ExportStatus.FAILED, FailedAs.NOT_SENT)
    assert export.error_json["code"] == "REMOTE_FAILURE"
    assert export.draft_order.status == DraftStatus.ERROR


class TestOutcomeUnknown:
    """The link died around the rename and stayed dead until the last try."""

    @pytest.mark.parametrize("erp_took_it", [False, True])
    def test_a_retry_does_not_send_what_had_arrived(self, site, lost, erp_took_it):
        first = lost(renamed=True)
        if erp_took_it:
            (site.inbox / first.filename).unlink()

        second = retry_push(first.draft_order_id, actor=None).export
        deliver(site.connection.pk)

        first.refresh_from_db()
        second.refresh_from_db()
        first.draft_order.refresh_from_db()
        assert first.status == ExportStatus.SENT
        assert (second.status, second.error_json["code"]) == (ExportStatus.FAILED, "ALREADY_PUBLISHED")
        assert first.draft_order.status == DraftStatus.PUSHED
        assert len(site.published()) == (0 if erp_took_it else 1)
        assert AuditLog.objects.filter(action=Action.DRAFT_PUSHED).count() == 1

    @pytest.mark.parametrize("point", [None, "resolved-before-commit", "staged-committed"])
    def test_a_retry_sends_what_had_not_arrived(self, site, lost, at_crashpoint, point):
        first = lost(renamed=False)

        second = retry_push(first.draft_order_id, actor=None).export
        if point:
            at_crashpoint(point, die)
            with pytest.raises(Killed):
                deliver(site.connection.pk)
            later(site.connection)
        deliver(site.connection.pk)

        first.refresh_from_db()
        second.refresh_from_db()
        assert (first.status, first.failed_as) == (ExportStatus.FAILED, FailedAs.NOT_SENT)
        assert second.status == ExportStatus.SENT
        assert list(site.published()) == [second.filename]


def test_an_order_that_is_pushed_again_before_its_outcome_is_found_out_is_sent_once(
    site, settings, monkeypatch
):
    settings.DELIVERY_MAX_ATTEMPTS = 1
    (first,) = pushed(site, 1)
    retried: list[Any] = []
    publish = FilesystemTransport._publish

    def interrupted(self, moves):
        outcomes = publish(self, moves)
        if not retried:
            retried.append(None)
            return [faults.Fault(faults.CONNECTION_LOST)] * len(moves)
        if retried == [None]:
            # The failure is recorded, and the worker asks what became of the file.
            retried.append(retry_push(first.draft_order_id, actor=None).export)
        return outcomes

    monkeypatch.setattr(FilesystemTransport, "_publish", interrupted)
    deliver(site.connection.pk)
    later(site.connection)
    deliver(site.connection.pk)

    second = retried[1]
    first.refresh_from_db()
    second.refresh_from_db()
    assert list(site.published()) == [first.filename]
    assert (first.status, second.error_json["code"]) == (ExportStatus.SENT, "ALREADY_PUBLISHED")
    assert DraftOrder.objects.get().status == DraftStatus.PUSHED


def test_the_file_holds_the_order(site):
    (export,) = pushed(site, 1)
    deliver(site.connection.pk)

    file = json.loads(site.published()[export.filename])
    assert file["draft_order_id"] == str(export.draft_order_id)
    assert file["lines"][0]["qty"] == 10.5


def test_a_hundred_orders_cost_about_the_statements_of_one(site, django_assert_max_num_queries):
    pushed(site, 100)

    with django_assert_max_num_queries(60):
        assert deliver(site.connection.pk).sent == 100
