"""The audit log and the histories as people read them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape
from django.utils.translation import override

from orderflow.accounts import users
from orderflow.audit.models import Action, AuditLog
from orderflow.audit.reading import Change, changes
from orderflow.audit.services import Entry, record
from orderflow.orders.approval import approve
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.roles import Role
from tests import factories

LIST = "/admin/audit/auditlog/"


@pytest.fixture
def org(db):
    return factories.org()


@pytest.fixture
def admin(org):
    return factories.user(org, Role.ADMIN)


def client_of(user):
    client = Client()
    client.force_login(user)
    return client


def entry(org, action=Action.DRAFT_APPROVED, kind="DraftOrder", **fields: Any):
    record(
        Entry(
            action=action, org_id=org.pk, entity_type=kind, entity_id=fields.pop("entity_id", "1"), **fields
        )
    )
    return AuditLog.objects.order_by("-created_at").first()


def listed(client, **query):
    answer = client.get(LIST, query)
    assert answer.status_code == 200
    return list(answer.context["cl"].result_list)


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        (None, None, []),
        ({"role": "OPS", "email": "a"}, {"role": "VIEWER", "email": "a"}, [("role", "OPS", "VIEWER")]),
        (None, {"a": 1, "b": None}, [("a", None, "1")]),
        ({"a": True}, None, [("a", "true", None)]),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, [("a.b.c", "1", "2")]),
        ({}, {"changed": ["host", "port"]}, [("changed", None, "host, port")]),
        ({}, {"steps": [{"ok": True}]}, [("steps", None, '[{"ok": true}]')]),
        ({}, {"note": "Grüße"}, [("note", None, "Grüße")]),
        (
            {"reason": {"code": "limit.files_open", "params": {"n": 2}}},
            {"reason": None},
            [("reason", "at most 2 files open at once", None)],
        ),
    ],
)
def test_only_what_differs_is_told_by_its_path(before, after, found):
    assert changes(before, after) == tuple(Change(*one) for one in found)


def test_a_value_of_a_field_with_choices_is_shown_by_its_label_in_the_readers_language():
    before, after = {"status": "READY", "note": "READY"}, {"status": "GONE_STATUS", "note": "OPS"}

    with override("de"):
        (status, note) = changes(before, after, kind="DraftOrder")
        (role,) = changes({"role": "OPS"}, {"role": "VIEWER"}, kind="User")

        assert (status.before, status.after) == (str(DraftStatus.READY.label), "GONE_STATUS")
        assert (role.before, role.after) == (str(Role.OPS.label), str(Role.VIEWER.label))
    assert status.before == "Bereit"
    assert (note.before, note.after) == ("READY", "OPS")


def test_the_list_and_the_page_of_an_entry_show_the_labels(org, admin):
    made = entry(org, before={"status": "READY"}, after={"status": "APPROVED"})

    pages = [client_of(admin).get(address).content.decode() for address in (LIST, f"{LIST}{made.pk}/change/")]

    assert "Ready → Approved" in pages[0]
    assert all("Ready" in page and "READY" not in page for page in pages)


def test_a_row_says_what_it_is_about_by_name_and_leads_there(org, admin):
    order = factories.draft(org, status=DraftStatus.READY)
    approve(order.pk, actor=admin)

    page = client_of(admin).get(LIST).content.decode()

    assert f'<a href="{reverse("admin:orders_draftorder_change", args=[order.pk])}">{order}</a>' in page
    assert "Order approved" in page


def test_no_link_leads_to_a_page_that_the_reader_may_not_open(org, admin):
    member = factories.user(org)
    users.unlock(member, actor=admin)
    users.set_password(member, "ein anderes Kennwort", actor=admin)

    pages = [
        client_of(factories.user(org, role)).get(LIST).content.decode()
        for role in (Role.ADMIN, Role.INTEGRATOR)
    ]

    assert [reverse("admin:tenancy_user_change", args=[member.pk]) in page for page in pages] == [True, False]
    assert all(member.email in page for page in pages)


def test_an_entry_about_what_is_not_there_is_shown_all_the_same(org, admin):
    made = [
        entry(org, kind=kind, entity_id=entity_id)
        for kind in ("DraftOrder", "Gone", "LogEntry", "")
        for entity_id in ("", "no-uuid", "x" * 64, "00000000-0000-0000-0000-000000000000")
    ]
    client = client_of(admin)

    assert set(made) <= set(listed(client))
    assert {client.get(f"{LIST}{one.pk}/change/").status_code for one in made} == {200}


def test_an_entry_of_ours_about_another_orgs_row_does_not_name_it(org, admin):
    foreign = factories.draft(factories.org(), external_order_number="KANARIE-1")
    made = entry(org, entity_id=foreign.pk)

    pages = [client_of(admin).get(address).content.decode() for address in (LIST, f"{LIST}{made.pk}/change/")]

    assert not any("KANARIE" in page or f"{foreign.pk}/change" in page for page in pages)


def test_the_list_asks_as_often_for_many_entries_as_for_few(org, admin):
    client = client_of(admin)

    def asked(n):
        for order in factories.drafts(org, n, status=DraftStatus.READY):
            approve(order.pk, actor=factories.user(org))
            users.set_password(factories.user(org), "ein anderes Kennwort", actor=admin)
        with CaptureQueriesContext(
            database,
        ) as queries:
            client.get(LIST)
        return len(queries)

    few = asked(2)

    assert asked(15) == few <= 14


def test_filters_by_what_who_about_and_when(org, admin):
    other = factories.user(org)
    approved = entry(org, actor=admin)
    changed = entry(org, Action.USER_CHANGED, "User", actor=other)
    system = entry(org, Action.DRAFT_PUSHED)
    old = AuditLog(org=org, action=Action.DRAFT_PUSHED, created_at=timezone.now() - timedelta(days=30))
    old.save()
    client = client_of(admin)

    def found(**query):
        ours = {approved: "approved", changed: "changed", system: "system", old: "old"}
        return {ours[row] for row in listed(client, **query) if row in ours}

    assert found(action__exact="USER_CHANGED") == {"changed"}
    assert found(actor=str(other.pk)) == {"changed"}
    assert found(actor="system") == {"system", "old"}
    assert found(actor="nobody") == set()
    assert found(about="User") == {"changed"}
    assert found(created_at__gte=(timezone.now() - timedelta(days=7)).isoformat()) == {
        "approved", "changed", "system",
    }  # fmt: skip
    assert found(q=other.email) == {"changed"}
    assert found(entity_id=approved.entity_id) == {"approved", "changed", "system"}


def test_the_filter_offers_people_of_the_own_org_only(org, admin):
    colleague, stranger = factories.user(org), factories.user(factories.org())

    page = client_of(admin).get(LIST).content.decode()

    assert colleague.email in page
    assert stranger.email not in page


def test_an_entry_shows_before_and_after_in_a_table_and_leads_on(org, admin):
    member = factories.user(org, Role.OPS)
    member.role = Role.VIEWER
    users.change_user(member, actor=admin)
    made = AuditLog.objects.get(action=Action.USER_CHANGED)

    page = client_of(admin).get(f"{LIST}{made.pk}/change/").content.decode()

    assert f"<del>{escape(Role.OPS.label)}</del>" in page
    assert f"<ins>{escape(Role.VIEWER.label)}</ins>" in page
    assert f"{LIST}?entity_id={member.pk}" in page
    assert listed(client_of(admin), entity_id=str(member.pk)) == [made]


def test_what_an_entry_holds_is_text_never_markup(org, admin):
    made = entry(org, after={"<b>x</b>": "<script>alert(1)</script>"})

    for address in (LIST, f"{LIST}{made.pk}/change/"):
        page = client_of(admin).get(address).content.decode()
        assert "<script>alert" not in page
        assert "<b>x" not in page


def test_times_are_those_of_the_viewer(org, admin):
    made = AuditLog(
        org=org, action=Action.DRAFT_PUSHED, created_at=datetime(2026, 11, 20, 23, 30, 5, tzinfo=UTC)
    )
    made.save()
    client = client_of(admin)
    client.cookies["time_zone"] = "Europe/Berlin"

    for address in (LIST, f"{LIST}{made.pk}/change/"):
        page = client.get(address).content.decode()
        assert "21 Nov 2026, 00:30:05" in page


def test_nobody_changes_or_removes_an_entry(org, admin):
    made = entry(org, after={"a": 1})
    client = client_of(admin)

    answers = [
        client.post(f"{LIST}{made.pk}/change/", {"action": "LOGIN_FAILED"}),
        client.post(f"{LIST}{made.pk}/delete/", {"post": "yes"}),
        client.post(LIST, {"action": "delete_selected", "_selected_action": [str(made.pk)], "post": "yes"}),
    ]

    assert [answer.status_code for answer in answers[:2]] == [403, 403]
    assert AuditLog.objects.get(pk=made.pk).after == {"a": 1}


def history(client, row):
    page = f"admin:{row._meta.app_label}_{row._meta.model_name}_history"
    return client.get(reverse(page, args=[row.pk])).content.decode()


def test_a_history_is_the_audit_log_of_that_object(org, admin):
    order, other = factories.drafts(org, 2, status=DraftStatus.READY)
    approver = factories.user(org)
    approve(order.pk, actor=approver)
    viewer = client_of(factories.user(org, Role.VIEWER))

    assert "Order approved" in history(viewer, order)
    assert approver.email in history(viewer, order)
    assert "There are no entries yet" in history(viewer, other)


def test_a_history_has_what_people_changed_in_the_form_too(org, admin):
    customer = factories.customer(org)
    client = client_of(admin)
    fields = {"name": "Neu GmbH", "erp_customer_number": "1", "default_currency": "EUR"}

    client.post(reverse("admin:orders_customer_change", args=[customer.pk]), fields)

    shown = history(client, customer)
    assert "Changed Name" in shown
    assert admin.email in shown


def test_what_the_audit_log_has_is_not_told_twice(org, admin):
    member = factories.user(org)
    client = client_of(admin)

    client.post(
        reverse("admin:tenancy_user_change", args=[member.pk]),
        {"email": member.email, "role": "VIEWER", "is_active": "on"},
    )

    assert not LogEntry.objects.exists()
    assert "User changed" in history(client, member)


def test_a_history_tells_nothing_of_another_orgs_entries_about_the_same_id(org, admin):
    order = factories.draft(org)
    entry(factories.org(), entity_id=order.pk, after={"note": "KANARIE"})

    assert "KANARIE" not in history(client_of(admin), order)
