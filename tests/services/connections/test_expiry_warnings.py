"""What is told before it hurts: a key or password that runs out, a plan that did not come true, weak encryption."""

from datetime import date, timedelta

import pytest
from django.utils.translation import override

from erp_connectors.models import ERPConnection
from erp_connectors.services.connections.expiry_warnings import Why, expiry_warnings
from erp_connectors.services.status.attention import NeedKind
from erp_connectors.services.status.overview import overview
from erp_connectors.states import ConnectionStatus
from orderflow.tenancy.roles import Role
from tests import factories
from tests.services.status.test_overview import KEY, NOW, SFTP

TODAY = date(2026, 11, 24)


def told(**config):
    row = ERPConnection(connector_type="DROPZONE_JSON_V1", config={**SFTP, **config})
    return [(one.why, one.field, one.days_left) for one in expiry_warnings(row, today=TODAY)]


def day(days, frm=TODAY):
    return (frm + timedelta(days=days)).isoformat()


@pytest.mark.parametrize("name", ["ssh_key_expires", "password_expires", "host_key_expires"])
@pytest.mark.parametrize(("days", "reminds"), [(31, False), (30, True), (0, True), (-3, True)])
def test_it_reminds_from_thirty_days_before_until_somebody_acts(name, days, reminds):
    assert told(**{name: day(days)}) == ([(Why.RUNS_OUT, name, days)] if reminds else [])


def test_the_number_of_days_is_a_setting(settings):
    settings.EXPIRY_REMINDER_DAYS = 5

    assert told(password_expires=day(6)) == []
    assert told(password_expires=day(5)) != []


@pytest.mark.parametrize(
    ("days", "told_of"), [(0, []), (-1, [(Why.PLAN_OVERDUE, "next_host_key_until", -1)])]
)
def test_a_plan_that_did_not_come_true_is_told(days, told_of):
    assert told(next_host_key=KEY, next_host_key_until=day(days)) == told_of


def test_the_first_to_run_out_is_told_first_and_weakness_last():
    found = told(legacy_algorithms=True, password_expires=day(9), ssh_key_expires=day(2))

    assert [why for why, *_ in found] == [Why.RUNS_OUT, Why.RUNS_OUT, Why.WEAK]
    assert [name for _, name, _ in found] == ["ssh_key_expires", "password_expires", "legacy_algorithms"]


def test_what_can_not_be_read_is_no_reminder():
    row = ERPConnection(connector_type="GONE", config={"password_expires": "x"})

    assert list(expiry_warnings(row, today=TODAY)) == []


@pytest.mark.parametrize(
    ("language", "days", "text"),
    [
        ("en", 0, "The password expires on: 24 Nov 2026 (today)"),
        ("en", 1, "The password expires on: 25 Nov 2026 (in 1 day)"),
        ("de", -2, "Das Passwort läuft ab am: 22. November 2026 (vor 2 Tagen)"),
    ],
)
def test_it_says_which_and_when(language, days, text):
    row = ERPConnection(connector_type="DROPZONE_JSON_V1", config={**SFTP, "password_expires": day(days)})

    with override(language):
        assert [one.text for one in expiry_warnings(row, today=TODAY)] == [text]


def test_the_overview_asks_for_each_kind_once_and_not_of_disabled_ones(db, django_assert_max_num_queries):
    org = factories.org()
    plans = {
        "legacy_algorithms": True,
        "password_expires": day(3, NOW.date()),
        "ssh_key_expires": day(4, NOW.date()),
        "next_host_key": KEY,
        "next_host_key_until": day(-2, NOW.date()),
    }
    config = {**SFTP, "host_key": KEY, **plans}
    row = factories.connection(org, config, last_test_success=True, last_test_at=NOW)
    factories.connection(org, config, status=ConnectionStatus.DISABLED)
    reader = factories.user(org, Role.VIEWER)

    needs = [need for need in overview(reader, now=NOW).needs if need.connection_id]

    wanted = [NeedKind.RUNS_OUT, NeedKind.PLAN_OVERDUE, NeedKind.WEAK]
    assert [(need.kind, need.connection_id) for need in needs] == [(kind, row.pk) for kind in wanted]
    assert "password" in needs[0].problem.cause
    assert " · " in needs[0].problem.cause
    with django_assert_max_num_queries(13):
        overview(reader, now=NOW)
