"""What the overview knows: every kind of problem, for whom, and at what cost."""

from datetime import UTC, date, datetime, timedelta
from itertools import count

import pytest
from django.utils import timezone

from erp_connectors import circuit
from erp_connectors.faults import FOLDER_MISSING, HOST_KEY_CHANGED, LOGIN_REFUSED, PERMISSION_DENIED, Fault
from erp_connectors.models import AckFile, ERPConnection, ERPExport
from erp_connectors.services.status.attention import NeedKind
from erp_connectors.services.status.connection_health import State
from erp_connectors.services.status.daily_stats import daily
from erp_connectors.services.status.overview import overview
from erp_connectors.states import AckFileStatus, ConnectionStatus, ExportStatus, FailedAs
from orderflow.heartbeat.models import Heartbeat
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.roles import Role
from tests import factories

NOW = timezone.now()
SFTP = {"mode": "sftp", "host": "sftp.example.com", "username": "u", "password": "p", "export_path": "/in"}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8kq9qVvK7yJ1yZy2Zc0pXkq1Q0yVZ1d7bM8m9wq7tD"
_numbers = count(1)


@pytest.fixture
def org(db):
    return factories.org()


@pytest.fixture
def working(org, tmp_path):
    return connection(org, tmp_path)


def connection(org, tmp_path, **fields):
    """One that works, as far as anybody knows."""
    config = {"mode": "filesystem", "export_path": str(tmp_path), "ack_path": str(tmp_path / "ack")}
    just_now = (
        timezone.now()
    )  # not NOW: a long suite gets here when that is long ago, and the pages use the clock
    times = dict.fromkeys(("last_test_at", "last_success_at", "last_poll_at"), just_now)
    values = {"last_test_success": True, **times}
    return factories.connection(org, config, **{**values, **fields})


def export(of, status=ExportStatus.SENT, *, draft=DraftStatus.PUSHED, **fields):
    order = fields.pop("order", None) or factories.draft(of.org, status=draft, lines=0)
    values = {
        "export_format_version": "v1",
        "filename": f"sales_order_{next(_numbers):08}.json",
        "approved_at": NOW,
        "sent_at": None if status == ExportStatus.PENDING else NOW,
        "failed_as": FailedAs.NOT_SENT if status == ExportStatus.FAILED else "",
    }
    return ERPExport.objects.create(
        org=of.org, connection=of, draft_order=order, status=status, **{**values, **fields}
    )


def failed(of, kind, **fields):
    error = {**Fault(kind, "in /in").as_error(stage="stage", attempt=1, at=NOW), **fields.pop("error", {})}
    return export(of, ExportStatus.FAILED, draft=DraftStatus.ERROR, error_json=error, **fields)


def hold(row, kind=LOGIN_REFUSED):
    reason = Fault(kind, "by /in").as_error(stage="connect", attempt=1, at=timezone.now())
    ERPConnection.objects.filter(pk=row.pk).update(circuit_opened_at=NOW, circuit_reason=reason)


def seen(of, role=Role.ADMIN):
    return overview(factories.user(of, role), now=NOW)


def kinds(of, role=Role.ADMIN):
    return [need.kind for need in seen(of, role).needs]


class TestConnections:
    def test_one_that_works_has_its_queue_and_needs_nobody(self, org, working):
        for minutes in (3, 1):
            export(working, ExportStatus.PENDING, draft=DraftStatus.PUSHING,
                   created_at=NOW - timedelta(minutes=minutes))  # fmt: skip
        export(working, overdue_at=NOW)

        (health,) = seen(org).health

        assert (health.state, health.waiting, health.overdue) == (State.OK, 2, 1)
        assert health.oldest == NOW - timedelta(minutes=3)
        assert health.polled
        assert kinds(org) == [NeedKind.OVERDUE]

    @pytest.mark.parametrize(
        ("fault", "kind"), [(LOGIN_REFUSED, NeedKind.HELD), (HOST_KEY_CHANGED, NeedKind.HOST_KEY_CHANGED)]
    )
    def test_a_held_one_says_why_and_what_to_do(self, org, working, fault, kind):
        hold(working, fault)
        export(working, ExportStatus.PENDING, draft=DraftStatus.PUSHING)

        (need,) = seen(org).needs

        assert (need.kind, need.count, need.connection_id) == (kind, 1, working.pk)
        assert (need.problem.cause, need.problem.hint) == (f"{fault.meaning} by /in", fault.hint)

    def test_a_changed_key_that_only_a_poll_has_met_is_told_too(self, org, working):
        began = timezone.now() - timedelta(hours=3)
        for at in (began, timezone.now()):
            met = Fault(HOST_KEY_CHANGED).as_error(stage="ack", attempt=0, at=at)
            circuit.polled(ERPConnection.objects.get(), met, failed=True, now=at)

        (need,) = seen(org).needs

        assert (need.kind, need.since) == (NeedKind.HOST_KEY_CHANGED, began)

    def test_a_changed_key_is_dated_by_the_opening_of_the_circuit(self, org, working):
        hold(working, HOST_KEY_CHANGED)
        opened = timezone.now() - timedelta(hours=3)
        ERPConnection.objects.update(circuit_opened_at=opened)

        (health,) = seen(org).health

        assert (health.state, health.since) == (State.HOST_KEY_CHANGED, opened)

    def test_once_somebody_has_decided_about_the_key_only_a_test_is_left_to_do(self, org, working):
        hold(working, HOST_KEY_CHANGED)
        working.save()

        assert kinds(org) == [NeedKind.HELD]

    def test_one_without_a_host_key_and_one_without_a_test_are_told(self, org, tmp_path):
        factories.connection(org, SFTP)
        other = factories.org()
        factories.connection(other, {**SFTP, "host_key": KEY})

        assert kinds(org) == [NeedKind.NO_HOST_KEY]
        assert kinds(other) == [NeedKind.UNTESTED]

    def test_a_failed_test_counts_until_something_worked(self, org, working):
        rows = ERPConnection.objects.filter(pk=working.pk)
        rows.update(last_test_success=False, last_success_at=NOW - timedelta(hours=1))
        assert kinds(org) == [NeedKind.TEST_FAILED]

        rows.update(last_success_at=NOW + timedelta(hours=1))
        assert kinds(org) == []

    def test_a_configuration_that_no_key_opens_is_told(self, org, working, settings):
        settings.ENCRYPTION_MASTER_KEY = "0123456789abcdef" * 4

        (need,) = seen(org).needs

        assert need.kind == NeedKind.UNREADABLE
        assert "can't be decrypted" in need.problem.cause

    def test_a_disabled_one_counts_while_orders_wait_for_it(self, org, working):
        waits = export(working, ExportStatus.PENDING, draft=DraftStatus.PUSHING)
        ERPConnection.objects.update(status=ConnectionStatus.DISABLED)
        assert kinds(org) == [NeedKind.DISABLED_WITH_WAITING]

        factories.set_status(waits, ExportStatus.SENT)
        assert (kinds(org), seen(org).health) == ([], [])

    def test_answers_that_cannot_be_read_are_told(self, org, working):
        other = Fault(PERMISSION_DENIED, "/ack").as_error(stage="ack", attempt=0, at=NOW - timedelta(hours=1))
        began, later = (
            Fault(FOLDER_MISSING, "/ack").as_error(
                stage="ack", attempt=0, at=NOW + timedelta(minutes=minutes)
            )
            for minutes in (0, 1)
        )
        for problem in (other, began, later):
            circuit.polled(ERPConnection.objects.get(), problem, failed=True, now=NOW)

        (need,) = seen(org).needs

        assert (need.kind, need.since) == (NeedKind.ANSWERS_UNREAD, NOW)

    def test_workers_that_show_no_sign_of_life_come_first(self, org, working):
        long_ago = NOW - timedelta(minutes=20)
        ERPConnection.objects.update(last_poll_at=long_ago, last_success_at=long_ago)
        assert kinds(org)[0] == NeedKind.WORKERS_SILENT

        later = NOW + timedelta(minutes=10)
        ERPConnection.objects.update(poll_retry_at=later)
        assert kinds(org) == []
        export(working, ExportStatus.PENDING, draft=DraftStatus.PUSHING, created_at=long_ago)
        assert kinds(org) == [NeedKind.WORKERS_SILENT]
        ERPConnection.objects.update(retry_at=later)
        assert kinds(org) == []

        ERPConnection.objects.update(retry_at=None)
        Heartbeat.objects.create(cluster="one", beat_at=NOW)
        assert kinds(org) == []


class TestExports:
    def test_failures_are_grouped_by_what_went_wrong(self, org, working):
        for _ in range(3):
            failed(working, FOLDER_MISSING)
        failed(working, LOGIN_REFUSED)
        for code in ("ERP_VALIDATION", "ERP_VALIDATION", "ERP_LIMIT"):
            refused = {"code": "REFUSED_BY_ERP", "params": {"error_code": code}}
            failed(working, FOLDER_MISSING, failed_as=FailedAs.REFUSED, error=refused)
        failed(working, LOGIN_REFUSED, failed_as=FailedAs.UNKNOWN)

        found = [(need.kind, need.code, need.error_code, need.count) for need in seen(org).needs]

        assert found == [
            (NeedKind.OUTCOME_UNKNOWN, "LOGIN_REFUSED", "", 1),
            (NeedKind.FAILED, "FOLDER_MISSING", "", 3),
            (NeedKind.FAILED, "LOGIN_REFUSED", "", 1),
            (NeedKind.REFUSED, "REFUSED_BY_ERP", "ERP_VALIDATION", 2),
            (NeedKind.REFUSED, "REFUSED_BY_ERP", "ERP_LIMIT", 1),
        ]

    def test_what_a_retry_has_settled_or_repeated_counts_once(self, org, working):
        first = failed(working, FOLDER_MISSING, created_at=NOW - timedelta(hours=2))
        failed(working, FOLDER_MISSING, order=first.draft_order)
        failed(working, FOLDER_MISSING, order=factories.draft(org, status=DraftStatus.PUSHED, lines=0))

        assert [(need.kind, need.count) for need in seen(org).needs] == [(NeedKind.FAILED, 1)]

    def test_contradicting_answers_and_stray_files_are_told(self, org, working):
        found_at = NOW - timedelta(minutes=5)
        conflict = {"file": "x", "erp_order_id": "SO-2", "time": found_at.isoformat()}
        done = export(
            working, ExportStatus.ACKED, answered_at=NOW - timedelta(days=8), conflict_json=conflict
        )
        for name, status, fields in (
            ("a", AckFileStatus.MALFORMED, {}),
            ("b", AckFileStatus.UNMATCHED, {}),
            ("answered since", AckFileStatus.MALFORMED, {"export": done}),
            ("long ago", AckFileStatus.UNMATCHED, {"first_seen_at": NOW - timedelta(days=15)}),
            ("fine", AckFileStatus.APPLIED, {"export": done}),
        ):
            AckFile.objects.create(org=org, connection=working, name=name, status=status, **fields)

        needs = seen(org).needs
        assert [(need.kind, need.count) for need in needs] == [
            (NeedKind.CONTRADICTED, 1),
            (NeedKind.MALFORMED, 1),
            (NeedKind.UNMATCHED, 1),
        ]
        assert needs[0].since == found_at, "since the contradiction, not since the first answer"

    def test_orders_that_wait_for_a_person_are_counted(self, org, working):
        for status in (DraftStatus.READY, DraftStatus.READY, DraftStatus.NEEDS_REVIEW, DraftStatus.APPROVED):
            factories.draft(org, status=status, lines=0)

        assert [(need.kind, need.count) for need in seen(org).needs] == [
            (NeedKind.TO_PUSH, 1),
            (NeedKind.TO_APPROVE, 2),
            (NeedKind.TO_REVIEW, 1),
        ]


def test_another_orgs_problem_is_seen_by_its_people_and_by_staff_only(org, working, tmp_path):
    other = factories.org()
    theirs = connection(other, tmp_path)
    hold(theirs)
    failed(theirs, FOLDER_MISSING)
    factories.draft(other, status=DraftStatus.READY, lines=0)

    mine = seen(org)
    assert [one.connection.pk for one in mine.health] == [working.pk]
    assert (mine.needs, mine.daily.exports, list(mine.orgs)) == ([], {}, [org.pk])
    everything = seen(None)
    assert {one.connection.org_id for one in everything.health} == {org.pk, other.pk}
    assert {need.org_id for need in everything.needs} == {other.pk}
    assert len(everything.needs) == 3


class TestDelayed:
    LATE = NOW - timedelta(hours=1)

    def waiting(self, working, **fields):
        error = Fault(FOLDER_MISSING, "in /in").as_error(stage="stage", attempt=1, at=NOW)
        values = {"created_at": self.LATE, "error_json": error, **fields}
        return export(working, ExportStatus.PENDING, **values)

    def test_an_export_that_meets_a_fault_again_and_again_is_named(self, org, working):
        self.waiting(working)

        (need,) = [need for need in seen(org).needs if need.kind is NeedKind.DELAYED]

        assert (need.count, need.code, need.since) == (1, "FOLDER_MISSING", self.LATE)

    def test_not_yet_while_it_is_young_or_has_met_none(self, org, working):
        self.waiting(working, created_at=NOW)
        self.waiting(working, error_json=None)

        assert NeedKind.DELAYED not in kinds(org)

    def test_on_a_held_connection_only_the_hold_is_named(self, org, working):
        self.waiting(working)
        hold(working)

        assert NeedKind.DELAYED not in kinds(org)
        assert NeedKind.HELD in kinds(org)


class TestDaily:
    def test_exports_count_on_the_day_it_is_where_the_viewer_is(self, org, working):
        late = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
        export(working, created_at=late)
        user, now = factories.user(org), datetime(2026, 11, 23, 12, tzinfo=UTC)

        with timezone.override("UTC"):
            assert dict(daily(user, now=now).exports) == {date(2026, 11, 22): {"SENT": 1}}
        with timezone.override("Europe/Berlin"):
            assert dict(daily(user, now=now).exports) == {date(2026, 11, 23): {"SENT": 1}}

    def test_fourteen_days_end_today_and_older_ones_are_left_out(self, org, working):
        for back in (0, 13, 14):
            export(working, created_at=NOW - timedelta(days=back))
        found = daily(factories.user(org), now=NOW)

        assert (len(found.days), found.days[-1]) == (14, timezone.localdate(NOW))
        assert sorted(found.exports) == [found.days[0], found.days[-1]]

    @pytest.mark.parametrize("answers", [1, 2, 3, 19, 20, 21, 40, 100])
    @pytest.mark.every_database
    def test_median_and_p95_are_those_of_the_answers(self, org, working, answers):
        took = [timedelta(seconds=n + 1) for n in range(answers)]
        noon = NOW.replace(hour=12)
        for length in reversed(took):
            export(working, ExportStatus.ACKED, created_at=noon, sent_at=noon, answered_at=noon + length)
        export(working, created_at=noon)

        (latency,) = daily(factories.user(org), now=NOW).latency.values()

        assert latency.answers == answers
        assert latency.median == took[(answers + 1) // 2 - 1]
        assert latency.p95 == took[-(-answers * 95 // 100) - 1]

    def test_an_answer_that_came_before_its_sent_was_recorded_took_no_time(self, org, working):
        export(working, ExportStatus.ACKED, answered_at=NOW - timedelta(seconds=2))

        (latency,) = daily(factories.user(org), now=NOW).latency.values()

        assert (latency.median, latency.p95) == (timedelta(), timedelta())


def test_the_overview_costs_the_same_however_much_there_is(org, working, tmp_path, django_assert_num_queries):
    users = [factories.user(org, Role.ADMIN), factories.user(None)]
    for _ in range(3):
        theirs = connection(factories.org(), tmp_path)
        for kind in (FOLDER_MISSING, LOGIN_REFUSED, FOLDER_MISSING):
            failed(theirs, kind)
            failed(working, kind)
        export(working, ExportStatus.PENDING, draft=DraftStatus.PUSHING)
        export(
            theirs, ExportStatus.ACKED, answered_at=NOW, conflict_json={"file": "x", "time": NOW.isoformat()}
        )
        factories.draft(org, status=DraftStatus.READY, lines=0)

    for user in users:
        with django_assert_num_queries(14):
            overview(user, now=NOW)
