"""One export folder and one ack folder for two orgs: each order and each answer stays with the org that it is of."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from erp_connectors.models import AckFile, ERPConnection, ERPExport
from erp_connectors.services.acks import read as reading
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import retry_push
from erp_connectors.services.reconciliation.reconcile import reconcile
from erp_connectors.services.restore.recover import recover
from erp_connectors.states import ExportStatus, FailedAs
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy import scope
from tests.services.conftest import Killed, die
from tests.services.conftest import at_crashpoint as at_crashpoint
from tests.tenants.twins import STRAY, order, pushed, require_unmixed, state

pytestmark = pytest.mark.deep

ACKED = '{{"status": "ACKED", "erp_order_id": "{}SO-1"}}'
FAILED = '{{"status": "FAILED", "message": "{}unknown"}}'
IN_EITHER_ORDER = pytest.mark.parametrize("first", [0, 1], ids=["one first", "other first"])


def sent(both, number=1):
    exports = []
    for twin in both:
        order(twin, number)
        exports.append(pushed(twin, number))
        assert deliver(twin.connection.pk).sent == 1
    return exports


def answer(server, twin, export, prefix="ack_", template=ACKED):
    path = server.root / "ack" / f"{prefix}{export.filename}"
    path.write_text(template.format(twin.mark))
    return path


def statuses(both, number=1):
    return [twin.export(number).status for twin in both]


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_file())


@IN_EITHER_ORDER
def test_each_answer_is_applied_to_its_own_org_whoever_polls_first(both, server, first):
    exports = sent(both)
    paths = [answer(server, twin, export) for twin, export in zip(both, exports, strict=True)]
    polls_first, polls_second = both[first], both[1 - first]
    before = state(polls_second.org)

    report = poll(polls_first.connection.pk)

    assert (report.listed, report.accepted, report.others) == (1, 1, 1)
    assert state(polls_second.org) == before
    assert paths[1 - first].exists()
    assert poll(polls_second.connection.pk).accepted == 1
    assert statuses(both) == [ExportStatus.ACKED] * 2
    assert names(server.root / "ack" / "processed") == sorted(path.name for path in paths)
    require_unmixed(*both)


@IN_EITHER_ORDER
@pytest.mark.parametrize("body", ["{", "", '{"status": "ACKED"}'], ids=["begun", "empty", "wrong"])
def test_an_answer_that_nobody_understands_is_judged_by_its_own_org(both, server, settings, first, body):
    settings.ACK_UNFINISHED_SECONDS = 0
    exports = sent(both)
    path = answer(
        server, both[1 - first], exports[1 - first], template=body.replace("{", "{{").replace("}", "}}")
    )

    for _ in range(3):
        poll(both[first].connection.pk)
    assert (path.exists(), AckFile.objects.count()) == (True, 0)
    for _ in range(3):
        poll(both[1 - first].connection.pk)

    assert not path.exists()
    assert AckFile.objects.get().org == both[1 - first].org


def test_one_refused_and_one_accepted(both, server):
    exports = sent(both)
    answer(server, both[0], exports[0], "error_", FAILED)
    answer(server, both[1], exports[1])

    for twin in both:
        poll(twin.connection.pk)

    assert statuses(both) == [ExportStatus.FAILED, ExportStatus.ACKED]
    require_unmixed(*both)


def test_an_answer_waits_for_an_org_that_is_not_polled_at_present(both, server):
    exports = sent(both)
    path = answer(server, both[1], exports[1])
    ERPConnection.objects.filter(pk=both[1].connection.pk).update(status="DISABLED")

    poll(both[0].connection.pk)

    assert path.exists()
    require_unmixed(*both)


def test_an_answer_that_is_read_all_the_same_is_applied_to_no_other_org(both, server, monkeypatch):
    """Behind the first look at the names stands the door."""
    monkeypatch.setattr(reading, "foreign_filenames", lambda *_, **__: set())
    exports = sent(both)
    answer(server, both[1], exports[1])
    before = state(both[1].org)

    assert poll(both[0].connection.pk).unmatched == 1

    assert state(both[1].org) == before


def test_whoever_polls_need_not_see_the_other_orgs_rows(both, server):
    """Where the database shows one org's rows only, a name that it hides is no name that nobody has."""
    one, other = both
    exports = sent(both)
    path = answer(server, other, exports[1])

    with scope.within(scope.of_orgs(one.org.pk)):
        assert poll(one.connection.pk).others == 1
        assert [finding.path for finding in reconcile(one.connection.pk).findings] == []

    assert path.exists()


def test_the_command_says_that_there_are_answers_of_others(both, server):
    exports = sent(both)
    answer(server, both[1], exports[1])
    out = StringIO()

    call_command("poll_acks", connection=both[0].connection.pk, stdout=out)

    assert "1 of other orgs" in out.getvalue()
    assert exports[1].filename not in out.getvalue()


@IN_EITHER_ORDER
def test_a_sweep_leaves_what_the_other_has_staged(both, server, at_crashpoint, first):
    """A worker of one was killed before the rename; the other takes over a lease, which makes it look for leftovers."""
    other, sweeper = both[first], both[1 - first]
    order(other, 1)
    pushed(other, 1)
    at_crashpoint("staged-committed", die)
    with pytest.raises(Killed):
        deliver(other.connection.pk)
    (staged,) = [name for name in names(server.root / "in") if name.endswith(".tmp")]
    # What only its own org may tidy away, though nobody needs it.
    order(other, 2)
    left = f"{pushed(other, 2).filename}.7.tmp"
    (server.root / "in" / left).write_bytes(b"{")
    ERPExport.objects.filter(draft_order=other.orders[2]).update(status=ExportStatus.SENT)
    order(sweeper, 1)
    own = pushed(sweeper, 1)
    (server.root / "in" / f"{own.filename}.1.tmp").write_bytes(b"{")
    ERPExport.objects.filter(pk=own.pk).update(attempts=1)
    long_ago = timezone.now() - timedelta(hours=1)
    ERPConnection.objects.update(delivery_lease_token="dead", delivery_lease_until=long_ago)

    assert deliver(sweeper.connection.pk).sent == 1

    assert names(server.root / "in") == sorted([staged, left, own.filename])
    assert deliver(other.connection.pk).sent == 1
    assert statuses(both) == [ExportStatus.SENT] * 2


def test_a_withdrawal_takes_only_ones_own_staged_file(both, server, at_crashpoint):
    """One's delivery ended with its outcome unknown, and is settled by the next; the other's is staged meanwhile."""
    for twin in both:
        order(twin, 1)
        pushed(twin, 1)
        at_crashpoint("staged-committed", die)
        with pytest.raises(Killed):
            deliver(twin.connection.pk)
    one, other = both
    mine = ERPExport.objects.filter(pk=one.export(1).pk)
    mine.update(status=ExportStatus.FAILED, failed_as=FailedAs.UNKNOWN)
    DraftOrder.objects.filter(pk=one.orders[1].pk).update(status=DraftStatus.ERROR)
    retry_push(one.orders[1].pk, actor=None)
    ERPConnection.objects.update(delivery_lease_token="")

    assert deliver(one.connection.pk).sent == 1
    assert other.export(1).staged_path.rsplit("/", 1)[1] in names(server.root / "in")
    assert deliver(other.connection.pk).sent == 1

    assert len(names(server.root / "in")) == 2


def test_to_reconcile_neither_counts_nor_names_the_others_files(both, server):
    exports = sent(both)
    sent(both, 2)
    for twin, export in zip(both, exports, strict=True):
        answer(server, twin, export)
        poll(twin.connection.pk)

    for one, other in (both, both[::-1]):
        report = reconcile(one.connection.pk)
        assert (report.findings, report.errors, report.files, report.answers) == ([], [], 2, 1)
        (server.root / "in" / one.export(2).filename).write_bytes(b"changed")
        (finding,) = reconcile(one.connection.pk).findings
        assert finding.export_id == one.export(2).pk
        assert reconcile(other.connection.pk).exit_code == (0 if one is both[0] else 1)


@pytest.mark.parametrize("answered_by", [0, 1])
def test_after_a_restore_answers_wait_for_the_org_that_they_are_for(both, server, answered_by):
    """Both were pushed after the backup, so the restored database knows neither file when a folder is read first."""
    since = timezone.now()
    exports = sent(both)
    path = answer(server, both[answered_by], exports[answered_by])
    ERPExport.objects.all().delete()
    DraftOrder.objects.update(status=DraftStatus.APPROVED)
    for export in exports:
        (server.root / "in" / export.filename).unlink()

    reports = recover(since=since, dry_run=False)

    assert not any(report.errors for report in reports)
    assert both[answered_by].export(1).status == ExportStatus.ACKED
    assert both[1 - answered_by].export(1).failed_as == FailedAs.UNKNOWN
    assert not path.exists()
    require_unmixed(*both)


def test_a_simulated_erp_of_one_connection_leaves_the_others_orders(both, server):
    sent(both)

    call_command("simulate_erp", connection=both[0].connection.pk, once=True, stdout=StringIO())

    assert names(server.root / "in") == [both[1].export(1).filename]
    poll(both[0].connection.pk)
    poll(both[1].connection.pk)
    assert statuses(both) == [ExportStatus.ACKED, ExportStatus.SENT]


def test_an_acceptance_run_of_one_neither_takes_nor_answers_the_others_orders(both, server, tmp_path):
    one, other = both
    order(other, 1)
    export = pushed(other, 1)
    deliver(other.connection.pk)
    scenario = tmp_path / "short.toml"
    scenario.write_text('title = "x"\nlimit = 20\n[[days]]\nname = "quiet"\norders = 2\n')
    before = state(other.org)

    call_command(
        "simulate_erp",
        connection=one.connection.pk,
        scenario=scenario,
        actor=one.users["OPS"].email,
        stdout=StringIO(),
    )

    assert export.filename in names(server.root / "in")
    poll(other.connection.pk)
    assert other.export(1).status == ExportStatus.SENT
    assert {key: rows for key, rows in state(other.org).items() if key != "ERPConnection"} == {
        key: rows for key, rows in before.items() if key != "ERPConnection"
    }


def test_an_answer_to_no_order_at_all_goes_to_whoever_polls_first(both, server):
    """Nobody can tell whose it is: docs/security/threat-model.md says so."""
    sent(both)
    (server.root / "ack" / STRAY).write_text(ACKED.format(""))

    assert [poll(twin.connection.pk).unmatched for twin in both] == [1, 0]
