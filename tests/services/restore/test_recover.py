"""The database of yesterday, the dropzone of today: nothing is sent twice, and everybody knows what is not known."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from erp_connectors.models import AckFile, ERPConnection, ERPExport, ERPExportEvent
from erp_connectors.services.acks.manual_answers import mark_accepted, mark_refused
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push_many, retry_push
from erp_connectors.services.reconciliation.reconcile import reconcile
from erp_connectors.services.restore.recover import recover
from erp_connectors.services.restore.report import RecoveryFindingKind
from erp_connectors.states import ExportStatus, FailedAs
from orderflow.heartbeat.models import Heartbeat
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from tests import factories
from tests.services.acks.test_poll import ACKED, FAILED
from tests.services.conftest import Site

# What a backup holds, in the order in which rows may be made; connections and people stay as they are here.
MODELS: tuple[Any, ...] = (DraftOrder, ERPExport, ERPExportEvent, AckFile)


class Backup:
    def __init__(self) -> None:
        self.take()

    def take(self) -> None:
        self.taken = timezone.now()
        self.rows = {model: list(model.objects.all()) for model in MODELS}
        self.lines = {order: list(order.lines.all()) for order in self.rows[DraftOrder]}

    def restore(self) -> None:
        for model in reversed(MODELS):
            model.objects.all().delete()
        for model in MODELS:
            model.objects.bulk_create(self.rows[model])
        for lines in self.lines.values():
            type(lines[0]).objects.bulk_create(lines)
        ERPConnection.objects.update(last_poll_at=None, delivery_lease_token="", poll_lease_token="")

    def recover(self, *, dry_run: bool = False) -> dict[RecoveryFindingKind, int]:
        reports = recover(since=self.taken, dry_run=dry_run)
        assert [report.errors for report in reports] == [[] for _ in reports]
        return dict(sum((report.counts for report in reports), start=reports[0].counts.__class__()))


def push(site: Site, *orders: DraftOrder) -> None:
    push_many(factories.ids(list(orders)), actor=None)
    deliver(site.connection.pk)


def taken(site: Site) -> list[str]:
    """What the ERP takes away, as it does every minute."""
    names = sorted(site.published())
    for name in names:
        (site.inbox / name).unlink()
    return names


def answer_all(site: Site, names: list[str], body: bytes = ACKED, prefix: str = "ack_") -> None:
    for name in names:
        site.answer(prefix + name, body)
    poll(site.connection.pk)


def push_everything(site: Site) -> list[str]:
    """What an operator, the sweep and the workers do on the morning after; returns what they sent."""
    orders = DraftOrder.objects.filter(org=site.org)
    push_many(factories.ids(list(orders.filter(status=DraftStatus.APPROVED))), actor=None)
    for order in orders.filter(status=DraftStatus.ERROR):
        retry_push(order.pk, actor=None)
    ERPConnection.objects.update(retry_at=None, circuit_opened_at=None)
    ERPExport.objects.update(next_attempt_at=None)
    deliver(site.connection.pk)
    return taken(site)


def status(order: DraftOrder) -> tuple[str, str]:
    order.refresh_from_db()
    export = order.exports.order_by("created_at").last()
    return order.status, export.failed_as or export.status if export else ""


def test_an_order_sent_and_accepted_since_the_backup_is_so_again(site: Site) -> None:
    order = factories.draft(site.org)
    backup = Backup()
    push(site, order)
    answer_all(site, taken(site))
    backup.restore()

    # Known by its answer, so nobody is told to ask about it.
    assert backup.recover() == {RecoveryFindingKind.ANSWERED: 1}

    assert status(order) == (DraftStatus.PUSHED, ExportStatus.ACKED)
    assert order.erp_order_id == json.loads(ACKED)["erp_order_id"]
    assert push_everything(site) == []


def test_an_order_whose_file_the_erp_took_is_not_sent_again_before_a_person_settled_it(site: Site) -> None:
    order = factories.draft(site.org)
    backup = Backup()
    push(site, order)
    taken(site)
    backup.restore()

    assert backup.recover() == {RecoveryFindingKind.UNKNOWN: 1}

    assert status(order) == (DraftStatus.ERROR, FailedAs.UNKNOWN)
    assert push_everything(site) == []


@pytest.mark.parametrize("has_it", [True, False])
def test_a_persons_word_settles_it(site: Site, has_it: bool) -> None:
    order = factories.draft(site.org)
    backup = Backup()
    push(site, order)
    taken(site)
    backup.restore()
    backup.recover()
    export, ops = order.exports.get(), factories.user(site.org)

    if has_it:
        mark_accepted(export.pk, actor=ops, erp_order_id="SO-7", note="by phone")
    else:
        mark_refused(export.pk, actor=ops, note="they do not have it")

    assert len(push_everything(site)) == (0 if has_it else 1)
    assert status(order)[0] == DraftStatus.PUSHED


def test_a_file_that_still_lies_there_says_that_it_was_sent(site: Site) -> None:
    order = factories.draft(site.org)
    backup = Backup()
    push(site, order)
    backup.restore()

    assert backup.recover() == {RecoveryFindingKind.SENT: 1}

    assert status(order) == (DraftStatus.PUSHED, ExportStatus.SENT)
    assert len(taken(site)) == 1
    assert push_everything(site) == []


@pytest.mark.parametrize("rendered", [True, False], ids=["staged in the backup", "not begun in the backup"])
def test_an_export_that_waited_in_the_backup_is_not_sent_again(
    site: Site, rendered: bool, at_crashpoint: Callable[..., None]
) -> None:
    order = factories.draft(site.org)
    push_many([order.pk], actor=None)
    backup = Backup()
    if rendered:
        at_crashpoint("staged-committed", backup.take)
    deliver(site.connection.pk)
    taken(site)
    backup.restore()

    assert backup.recover() == {RecoveryFindingKind.UNKNOWN: 1}

    assert status(order) == (DraftStatus.ERROR, FailedAs.UNKNOWN)
    assert push_everything(site) == []


def test_what_was_never_sent_goes_out_as_if_nothing_had_happened(site: Site) -> None:
    waiting, approved = factories.draft(site.org), factories.draft(site.org)
    push_many([waiting.pk], actor=None)
    backup = Backup()
    backup.restore()

    assert backup.recover() == {}

    assert len(push_everything(site)) == 2
    assert status(approved) == status(waiting) == (DraftStatus.PUSHED, ExportStatus.SENT)


def test_an_answer_that_came_since_is_read_again(site: Site) -> None:
    order = factories.draft(site.org)
    push(site, order)
    backup = Backup()
    answer_all(site, taken(site))
    backup.restore()

    assert backup.recover() == {RecoveryFindingKind.ANSWERED: 1}

    assert status(order) == (DraftStatus.PUSHED, ExportStatus.ACKED)


def test_an_answer_that_waits_for_the_recovery_is_read_once_its_order_file_is_known(site: Site) -> None:
    order = factories.draft(site.org)
    backup = Backup()
    push(site, order)
    (name,) = taken(site)
    site.answer(f"ack_{name}", ACKED)
    backup.restore()

    backup.recover()

    assert status(order) == (DraftStatus.PUSHED, ExportStatus.ACKED)
    assert list((site.acks / "error").glob("*")) == []


def test_refused_and_sent_anew_since_the_backup(site: Site) -> None:
    order = factories.draft(site.org)
    push(site, order)
    backup = Backup()
    answer_all(site, taken(site), FAILED, "error_")
    retry_push(order.pk, actor=None)
    deliver(site.connection.pk)
    taken(site)
    backup.restore()

    assert backup.recover() == {RecoveryFindingKind.ANSWERED: 1, RecoveryFindingKind.UNKNOWN: 1}

    first, second = order.exports.order_by("created_at")
    assert (first.failed_as, second.failed_as) == (FailedAs.REFUSED, FailedAs.UNKNOWN)
    assert push_everything(site) == []


def test_refused_by_hand_and_sent_anew_since_the_backup(site: Site) -> None:
    """No file tells of that refusal, but a newer file of the order means that there was one."""
    order = factories.draft(site.org)
    push(site, order)
    taken(site)
    backup = Backup()
    mark_refused(order.exports.get().pk, actor=factories.user(site.org), note="they lost it")
    retry_push(order.pk, actor=None)
    deliver(site.connection.pk)
    (second,) = taken(site)
    backup.restore()

    assert backup.recover() == {RecoveryFindingKind.UNKNOWN: 1}
    assert [export.failed_as for export in order.exports.order_by("created_at")] == [
        FailedAs.REFUSED, FailedAs.UNKNOWN,
    ]  # fmt: skip
    assert push_everything(site) == []

    answer_all(site, [second])
    assert push_everything(site) == []
    assert order.exports.get(filename=second).status == ExportStatus.ACKED
    assert status(order)[0] == DraftStatus.PUSHED


def test_an_order_that_came_in_after_the_backup_is_named(site: Site) -> None:
    backup = Backup()
    order = factories.draft(site.org)
    push(site, order)
    backup.rows[DraftOrder] = []
    backup.restore()

    (report,) = recover(since=backup.taken, dry_run=False)

    (found,) = report.found
    assert (found.kind, str(order.pk) in found.what) == (RecoveryFindingKind.NO_ORDER, True)
    assert "before anybody enters this order anew" in found.to_do


def test_copies_from_before_the_backup_are_left_alone(site: Site) -> None:
    order = factories.draft(site.org)
    push(site, order)
    taken(site)
    backup = Backup()
    ERPExport.objects.all().delete()  # as if they had been pruned
    backup.rows[ERPExport] = []
    backup.rows[ERPExportEvent] = []
    backup.restore()

    assert recover(since=timezone.now() + timedelta(seconds=1), dry_run=False)[0].found == []


def test_run_again_it_finds_nothing_new(site: Site) -> None:
    orders = factories.drafts(site.org, 3)
    backup = Backup()
    push(site, *orders)
    names = taken(site)
    answer_all(site, names[:1])
    backup.restore()
    backup.recover()
    before = [status(order) for order in orders]

    assert backup.recover() == {}
    assert [status(order) for order in orders] == before


def test_a_dry_run_changes_nothing_and_says_each_thing_once(site: Site) -> None:
    order, waits = factories.drafts(site.org, 2)
    push(site, waits)
    backup = Backup()
    answer_all(site, taken(site))
    push(site, order)
    backup.restore()

    assert backup.recover(dry_run=True) == {RecoveryFindingKind.UNKNOWN: 1, RecoveryFindingKind.ANSWERED: 1}
    assert status(order) == (DraftStatus.APPROVED, "")
    assert status(waits) == (DraftStatus.PUSHED, ExportStatus.SENT)
    assert len(site.published()) == 1


def test_reconcile_finds_the_difference_before_and_none_after(site: Site) -> None:
    orders = factories.drafts(site.org, 2)
    backup = Backup()
    push(site, *orders)
    answer_all(site, [min(site.published())])
    backup.restore()

    assert sorted(reconcile(site.connection.pk).found.elements()) == ["orphaned", "orphaned", "orphaned"]
    backup.recover()
    assert reconcile(site.connection.pk).findings == []


def test_a_dropzone_out_of_reach_leaves_all_in_doubt_and_says_so(site: Site) -> None:
    order = factories.draft(site.org)
    backup = Backup()
    push(site, order)
    backup.restore()
    site.inbox.rename(site.inbox.with_name("away"))

    (report,) = recover(since=backup.taken, dry_run=False)

    assert "The folder does not exist" in report.errors[0]
    assert status(order) == (DraftStatus.ERROR, FailedAs.UNKNOWN)


def run(*arguments: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("recover_restored", *arguments, stdout=out)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_the_command_says_what_it_recorded_and_what_to_do(site: Site) -> None:
    order = factories.draft(site.org)
    backup = Backup()
    push(site, order)
    taken(site)
    backup.restore()

    code, said = run("--backup-taken", backup.taken.isoformat())

    assert code == 0
    assert "recorded: 1 unknown" in said
    assert "Ask the ERP team whether they have it" in said


def test_it_refuses_while_workers_run(site: Site) -> None:
    Heartbeat.beat("here")

    with pytest.raises(CommandError, match="Stop them"):
        run("--backup-taken", "2026-11-23T02:00:00+01:00")
    assert run("--backup-taken", "2026-11-23T02:00:00+01:00", "--dry-run")[0] == 0


@pytest.mark.parametrize(
    ("text", "why"), [("yesterday", "is no time"), ("2026-11-23T02:00:00", "no time zone")]
)
def test_it_asks_for_a_moment_that_means_one(site: Site, text: str, why: str) -> None:
    with pytest.raises(CommandError, match=why):
        run("--backup-taken", text)


def test_without_the_archive_it_says_that_nothing_may_be_sent(
    site: Site, settings: Any, tmp_path: Any
) -> None:
    (tmp_path / "a file").write_text("")
    settings.STORAGES = {
        **settings.STORAGES,
        "exports": {
            "BACKEND": "erp_connectors.folder_storage.FolderStorage",
            "OPTIONS": {"location": str(tmp_path / "a file")},
        },
    }
    with pytest.raises(CommandError, match="Nothing may be sent"):
        run("--backup-taken", datetime(2026, 11, 23).astimezone().isoformat())
