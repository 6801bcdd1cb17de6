"""After contents are gone, everything goes on as before: answers, pushes, imports, pages, the API, `reconcile`."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import msgspec
import pytest
from django.core.files.storage import storages
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError
from django.test import Client
from django.utils import timezone

from erp_connectors import archive, archive_watermark
from erp_connectors.bulk.models import BulkAction, BulkRow, BulkRun
from erp_connectors.models import AckFile, ERPExport
from erp_connectors.port_types import Ack
from erp_connectors.retention import runs
from erp_connectors.retention.models import RetentionRun, RetentionShare
from erp_connectors.services.acks.content import ack_of
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import PushRefused, push, push_many, retry_push
from erp_connectors.services.reconciliation.reconcile import reconcile
from erp_connectors.services.restore.recover import recover
from erp_connectors.services.restore.rows import ArchiveNeeded
from erp_connectors.states import AckFileStatus, ExportStatus
from orderflow.audit.models import Action, AuditLog
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.roles import Role
from tests import factories
from tests.api.test_idempotency import client_of
from tests.orders.test_import import jsonl, order
from tests.retention.conftest import accepted, age, copies, prune
from tests.services.acks.test_poll import ACKED, FAILED, again, sent
from tests.services.conftest import Killed, die
from tests.services.test_archive import store  # noqa: F401  # a fixture

pytestmark = pytest.mark.django_db
OTHER = b'{"status": "ACKED", "erp_order_id": "SO-2", "processed_at": "2026-11-23T10:00:00Z"}'


def state(export):
    export = again(export)
    conflict = export.conflict_json or {}
    said = {key: conflict.get(key) for key in ("answer", "erp_order_id")}
    return (
        export.status,
        export.erp_order_id,
        said,
        export.draft_order.status,
        export.draft_order.erp_order_id,
    )


def test_contents_go_and_rows_stay(old):
    exports = old(3)

    worked = prune()

    assert (worked.removed, worked.error) == (9, "")
    assert copies(exports) == [False] * 3
    for export in map(again, exports):
        assert export.status == ExportStatus.ACKED
        assert export.sha256
        assert export.size
        assert export.payload_removed_at
        assert export.copy_gone_at
        assert list(export.events.values_list("what", flat=True)) == ["published", "acked"]
        (ack,) = export.ack_files.all()
        assert (ack.body, ack.body_sha256) == (None, archive.sha256(ACKED))
        assert ack.answer_json["erp_order_id"] == "SO-1"


@pytest.mark.parametrize(
    ("prefix", "body", "status"),
    [
        ("ack_", ACKED, AckFileStatus.REPEATED),
        ("ack_", OTHER, AckFileStatus.APPLIED),
        ("error_", FAILED, AckFileStatus.CONFLICT),
    ],
    ids=["the same again", "another number, processed earlier", "a refusal"],
)
def test_a_late_answer_is_judged_as_if_nothing_had_been_removed(make_site, prefix, body, status):
    sites = [make_site(), make_site()]
    exports = [accepted(site)[0] for site in sites]
    age()
    runs.work(runs.begin(org=sites[1].org, older_than=100).pk)

    for site, export in zip(sites, exports, strict=True):
        site.answer(f"{prefix}{export.filename}", body)
        report = poll(site.connection.pk)
        assert (report.listed, report.error) == (1, "")

    assert state(exports[1]) == state(exports[0])
    statuses = [list(again(one).ack_files.order_by("pk").values_list("status", flat=True)) for one in exports]
    assert statuses[0] == statuses[1]
    assert statuses[1][-1] == status
    assert again(exports[1]).ack_files.first().body_removed_at


def test_a_late_acceptance_of_a_rejected_order_is_shown_to_a_person(site):
    (export,) = sent(site)
    site.answer(f"error_{export.filename}", FAILED)
    poll(site.connection.pk)
    order = again(export).draft_order
    factories.set_status(order, DraftStatus.REJECTED)
    age()
    assert prune().removed == 3

    site.answer(f"ack_{export.filename}", ACKED)
    assert poll(site.connection.pk).conflicts == 1

    assert again(export).conflict_json["erp_order_id"] == "SO-1"
    age()
    assert prune().removed == 0
    (late,) = export.ack_files.filter(status=AckFileStatus.CONFLICT)
    assert bytes(late.body) == ACKED


@pytest.mark.parametrize(
    "ack",
    [
        Ack(True, "SO-ä1", None, None, None),
        Ack(False, None, "E", "nö \"'\u2028", datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)),
        Ack(False, None, None, None, datetime(2026, 1, 2, tzinfo=timezone.get_fixed_timezone(90))),
    ],
)
def test_what_an_answer_said_is_kept_to_the_letter(site, ack):
    row = AckFile.objects.create(
        org=site.org, connection=site.connection, name="ack", answer_json=msgspec.to_builtins(ack)
    )

    assert ack_of(again(row)) == ack


def _conflict(export):
    ERPExport.objects.filter(pk=export.pk).update(conflict_json={"answer": "refused"})


def _bulk(export):
    run = BulkRun.objects.create(org=export.org, made_by=factories.user(export.org), action=BulkAction.RETRY)
    BulkRow.objects.create(run=run, position=0, draft_order=export.draft_order)


def _unseen(export):
    AckFile.objects.create(
        org=export.org, connection=export.connection, export=export, name="late", status=AckFileStatus.CONFLICT,
        decided_at=timezone.now(), moved_at=timezone.now(), body=ACKED,
    )  # fmt: skip


@pytest.mark.parametrize("happens", [_conflict, _bulk, _unseen])
def test_what_happens_between_choosing_and_locking_is_seen(old, at_crashpoint, happens):
    (export,) = old()
    at_crashpoint("prune-chosen", lambda: happens(export))

    assert prune().removed == 0

    assert copies([export]) == [True]
    assert again(export).payload_removed_at is None


def test_nothing_can_be_sent_again(site, old):
    (export,) = old()
    prune()
    order_id, names = export.draft_order_id, set(site.published())

    assert push(order_id, actor=None).export == export
    with pytest.raises(PushRefused):
        retry_push(order_id, actor=None)
    push_many([order_id], actor=None)

    assert ERPExport.objects.count() == 1
    assert set(site.published()) == names
    client = client_of(site.org)
    assert client.post(f"/api/v1/draft-orders/{order_id}/retry-push").status_code == 409


def test_an_import_of_the_same_file_makes_no_new_orders(site, tmp_path):
    factories.customer(site.org)
    path = jsonl(tmp_path, order("PO-1"), order("PO-2"))

    def load():
        call_command("import_orders", str(path), "--org", site.org.slug, stdout=StringIO(), stderr=StringIO())

    load()
    orders = DraftOrder.objects.filter(external_order_number__in=["PO-1", "PO-2"])
    orders.update(
        status=DraftStatus.APPROVED, approved_at=timezone.now(), approved_by=factories.user(site.org)
    )
    push_many(factories.ids(list(orders)), actor=None)
    deliver(site.connection.pk)
    for export in ERPExport.objects.all():
        site.answer(f"ack_{export.filename}", ACKED)
    poll(site.connection.pk)
    age()
    prune()
    load()

    assert DraftOrder.objects.count() == 2
    assert ERPExport.objects.exclude(payload_removed_at=None).count() == 2


def test_api_and_pages_say_that_it_was_removed(site, old):
    (export,) = old()
    prune()
    viewer, person = client_of(site.org, Role.VIEWER), Client()
    person.force_login(factories.user(site.org))
    page = f"/admin/erp_connectors/erpexport/{export.pk}"

    answer = viewer.get(f"/api/v1/erp-exports/{export.pk}/payload")
    assert (answer.status_code, answer.json()["error"]["code"]) == (410, "GONE")
    assert answer.json()["error"]["reason"]["code"] == "export.payload_removed"
    shown = viewer.get(f"/api/v1/erp-exports/{export.pk}").json()
    assert shown["payload_removed_at"]
    assert [one["what"] for one in viewer.get(f"/api/v1/erp-exports/{export.pk}/events").json()["results"]] == [
        "published", "acked",
    ]  # fmt: skip
    (ack,) = export.ack_files.all()
    for path in (f"{page}/payload/", f"{page}/ack/{ack.pk}/"):
        gone = person.get(path)
        assert gone.status_code == 410
        assert "removed by retention" in gone.content.decode()
    html = person.get(f"{page}/change/?show=file").content.decode()
    assert html.count("removed by retention") >= 4
    assert archive.sha256(ACKED) in html
    assert f"{page}/payload/" not in html
    proof = person.get(f"{page}/proof/").content.decode()
    assert proof.count("Removed by retention") == 1
    assert "The content of the ack file was removed by retention" in proof
    for still in (export.sha256, archive.sha256(ACKED), "SO-1", str(site.inbox)):
        assert still in proof
    listed = person.get(f"/admin/erp_connectors/ackfile/{ack.pk}/change/").content.decode()
    assert archive.sha256(ACKED) in listed
    german = person.get(f"{page}/proof/", headers={"Accept-Language": "de"}).content.decode()
    assert "Nach Ablauf der Aufbewahrung entfernt" in german


def test_reconcile_finds_nothing_missing_and_still_sees_what_was_altered(site, old):
    (export,) = old()
    prune()
    assert (reconcile(site.connection.pk).found, reconcile(site.connection.pk).errors) == ({}, [])

    (site.acks / "processed" / f"ack_{export.filename}").write_bytes(ACKED + b" ")
    (site.inbox / export.filename).write_bytes(b"{}" + b" " * (export.size - 2))

    found = {finding.path for finding in reconcile(site.connection.pk).findings}
    assert found == {
        str(site.acks / "processed" / f"ack_{export.filename}"),
        str(site.inbox / export.filename),
    }


def test_a_backup_that_is_older_than_what_was_removed_is_refused(old):
    old()
    before = timezone.now() - timedelta(days=400)
    recover(since=before, dry_run=True)
    prune()

    with pytest.raises(ArchiveNeeded, match="The backup is too old"):
        recover(since=before, dry_run=True)
    recover(since=timezone.now() - timedelta(days=1), dry_run=True)


POINTS = ("prune-marked", "prune-deleted", "prune-noted", "prune-events-removed", "prune-answers-removed")


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.every_database
def test_killed_anywhere_the_next_run_finishes_it(old, at_crashpoint, point):
    exports = old(3)
    run = runs.begin(org=None, older_than=100)
    at_crashpoint(point, die)
    with pytest.raises(Killed):
        runs.work(run.pk)
    RetentionRun.objects.update(lease_until=timezone.now() - timedelta(minutes=1))
    # Nobody is sent to a copy that is not there.
    gone = [export for export in exports if copies([export]) == [False]]
    assert all(again(export).payload_removed_at for export in gone)

    # It may be another run that finishes what this one began.
    prune()
    runs.work(run.pk)

    assert copies(exports) == [False] * 3
    assert ERPExport.objects.filter(payload_removed_at__isnull=False, copy_gone_at=None).count() == 0
    kinds, shares = ("files", "answers", "events"), RetentionShare.objects.all()
    assert [sum(getattr(share, kind) for share in shares) for kind in kinds] == [3, 3, 3]
    assert AuditLog.objects.filter(action=Action.CONTENTS_REMOVED, entity_id=run.pk).count() <= 1
    told = AuditLog.objects.filter(action=Action.CONTENTS_REMOVED).values_list("after", flat=True)
    assert [sum(one[kind] for one in told) for kind in kinds] == [3, 3, 3]


@pytest.mark.parametrize("place", ["exports", "retention"])
def test_an_archive_that_is_down_loses_nothing_and_is_finished_later(old, tmp_path, place):
    exports = old(2)
    folder, aside = tmp_path / "archive" / place, tmp_path / "aside"
    folder.mkdir(exist_ok=True)
    folder.rename(aside)
    folder.write_text("in the way")  # also of root, whom no right stops

    worked = prune()

    folder.unlink()
    aside.rename(folder)
    assert "can't be used" in worked.error
    assert copies(exports) == [True, True]
    # Where it can't be told up to when copies may be missing, none is given up.
    assert ERPExport.objects.filter(payload_removed_at__isnull=False).exists() is (place == "exports")
    run = RetentionRun.objects.get()
    assert run.finished_at is None

    assert runs.work(run.pk).error == ""

    assert copies(exports) == [False, False]
    assert AuditLog.objects.filter(action=Action.CONTENTS_REMOVED).count() == 1


def test_a_copy_that_is_not_there_counts_as_removed(old):
    (export,) = old()
    storages["exports"].delete(export.export_storage_key)

    assert prune().error == ""
    assert again(export).copy_gone_at


def test_on_a_real_object_store(store, site, monkeypatch):  # noqa: F811
    monkeypatch.setattr(archive_watermark, "storages", vars(archive)["storages"])
    (export,) = accepted(site)
    age()
    assert (store / export.export_storage_key).exists()

    assert prune().error == ""

    assert not (store / export.export_storage_key).exists()
    until = archive_watermark.watermark(site.org.pk)
    assert until
    assert until < timezone.now()
    (later,) = accepted(site)
    age()
    prune()
    assert not (store / later.export_storage_key).exists()


def test_an_answer_that_is_not_understood_any_more_is_kept_as_it_was_understood(old):
    (export,) = old()
    AckFile.objects.update(body=b"{")

    prune()

    (ack,) = export.ack_files.all()
    assert (ack.body, ack.body_sha256) == (None, archive.sha256(b"{"))
    assert ack_of(ack).erp_order_id == "SO-1"


def run_command(*arguments):
    out = StringIO()
    call_command("prune", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_the_command_tells_and_a_dry_run_changes_nothing(site, old):
    exports = old(2)
    accepted(site)
    with pytest.raises(CommandError, match="RETENTION_ARCHIVE_DAYS"):
        run_command()
    with pytest.raises(CommandError, match="30 or more"):
        run_command("--older-than", "29")
    with pytest.raises(CommandError, match="no org"):
        run_command("--older-than", "100", "--org", "nobody")

    text = run_command("--older-than", "100", "--dry-run")
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert f"{site.org.slug} files 2 go" in lines
    assert "1 stay: not old enough" in lines
    assert copies(exports) == [True, True]
    assert RetentionRun.objects.count() == 0

    assert "6 removed." in run_command("--older-than", "100", "--org", site.org.slug)
    assert copies(exports) == [False, False]


def test_another_orgs_contents_stay(make_site):
    sites = [make_site(), make_site()]
    exports = [accepted(site)[0] for site in sites]
    age()

    run_command("--older-than", "100", "--org", sites[0].org.slug)

    assert copies(exports) == [False, True]
    assert list(AuditLog.objects.filter(action=Action.CONTENTS_REMOVED).values_list("org", flat=True)) == [
        sites[0].org.pk
    ]


def test_the_audit_log_says_so_in_german_too(site, old):
    old(2)
    prune()
    admin = Client(headers={"Accept-Language": "de"})
    admin.force_login(factories.user(site.org, Role.ADMIN))
    entry = AuditLog.objects.get(action=Action.CONTENTS_REMOVED)

    for path in ("/admin/audit/auditlog/", f"/admin/audit/auditlog/{entry.pk}/change/"):
        page = admin.get(path).content.decode()
        assert "Inhalte nach Ablauf der Aufbewahrung entfernt" in page
        assert "Aufbewahrung" in page


def test_less_than_thirty_days_of_archive_are_refused(settings):
    settings.RETENTION_ARCHIVE_DAYS = 29
    with pytest.raises(SystemCheckError, match="30 or more"):
        call_command("check")
    settings.RETENTION_ARCHIVE_DAYS = 30
    call_command("check", stdout=StringIO())
