"""Every page as every role, and as another org's admin."""

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from erp_connectors.bulk.models import BulkRun
from erp_connectors.models import AckFile, ERPConnection, ERPExport
from erp_connectors.outbox.models import Subscription
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push
from orderflow.audit.models import AuditLog
from orderflow.orders.models import Customer, Document, DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.models import Org, User
from orderflow.tenancy.roles import Role
from tests import factories

SECRET = "sehr-geheimes-passwort"
READERS = set(Role)
PAGES: dict[Any, set[Role]] = {
    DraftOrder: READERS,
    Customer: READERS,
    Document: READERS,
    ERPExport: READERS,
    AckFile: READERS,
    ERPConnection: {Role.ADMIN, Role.INTEGRATOR},
    AuditLog: {Role.ADMIN, Role.INTEGRATOR},
    User: {Role.ADMIN},
    Org: {Role.ADMIN},
}


@pytest.fixture
def org(db, tmp_path, settings):
    """An org with one row of everything."""
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    (tmp_path / "ack").mkdir()
    made = factories.org()
    config = {"mode": "filesystem", "export_path": str(tmp_path), "ack_path": str(tmp_path / "ack")}
    row = factories.connection(made, config)
    document = Document.objects.create(org=made, file_name="bestellung.pdf", sha256="0" * 64, size=1)
    order = factories.draft(made, document=document)
    export = push(order.pk, actor=factories.user(made)).export
    deliver(row.pk)
    (tmp_path / "ack" / f"ack_{export.filename}").write_text('{"status": "ACKED", "erp_order_id": "SO-<b>1"}')
    poll(row.pk)
    return made


def as_role(org, role):
    client = Client()
    client.force_login(factories.user(org, role))
    return client


def change_page(row):
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def list_page(model):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def test_no_model_is_forgotten():
    ours = {
        model
        for model in admin.site._registry
        if model.__module__.startswith(("orderflow", "erp_connectors"))
    }

    assert ours == {*PAGES, BulkRun, Subscription}  # these have pages of their own kind, and tests for them


def test_each_role_sees_what_its_table_says(org):
    wrong = {}
    for role in Role:
        client = as_role(org, role)
        for model, readers in PAGES.items():
            pages = (list_page(model), change_page(model.objects.for_org(org).first()))
            statuses = {client.get(page).status_code for page in pages}
            if statuses != {200 if role in readers else 403}:
                wrong[role, model] = statuses
    assert wrong == {}


def test_another_orgs_admin_finds_nothing(org):
    stranger = as_role(factories.org(), Role.ADMIN)
    found = set()
    for model in PAGES:
        page = change_page(model.objects.for_org(org).first())
        if page in stranger.get(list_page(model)).content.decode() or stranger.get(page).status_code != 302:
            found.add(model)

    assert found == set()
    payload = reverse("admin:erp_export_payload", args=[ERPExport.objects.get().pk])
    assert stranger.get(payload).status_code == 404


def test_nothing_is_deleted_in_the_admin(org):
    admin_of_org = as_role(org, Role.ADMIN)
    pages = [change_page(model.objects.for_org(org).first()) for model in PAGES]

    answers = [
        admin_of_org.post(page.replace("/change/", "/delete/"), {"post": "yes"}).status_code for page in pages
    ]

    assert answers == [403] * len(PAGES)


def test_platform_staff_see_every_org(org):
    staff = Client()
    staff.force_login(factories.user(None))
    factories.draft(factories.org())

    for model in PAGES:
        assert staff.get(list_page(model)).status_code == 200
    assert DraftOrder.objects.count() == 2
    assert staff.get(list_page(DraftOrder)).content.decode().count("/change/") >= 2


def test_the_timeline_and_the_file_are_one_click_away(org):
    client, export = as_role(org, Role.VIEWER), ERPExport.objects.get()
    page = client.get(change_page(export)).content.decode()

    assert all(what in page for what in ("pushed", "staged", "published", "acked"))
    assert "SO-&lt;b&gt;1" in page
    assert client.get(reverse("admin:erp_export_payload", args=[export.pk])).json()["org_slug"] == org.slug


def run(client, action, *rows):
    data = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return client.post(list_page(type(rows[0])), data, follow=True).content.decode()


@pytest.mark.parametrize("role", [Role.VIEWER, Role.INTEGRATOR])
def test_who_may_not_push_can_not(org, role):
    order = factories.draft(org)

    run(as_role(org, role), "push", order)

    order.refresh_from_db()
    assert order.status == DraftStatus.APPROVED


def order_form(order, **changes):
    lines = list(order.lines.all())
    data = {
        "external_order_number": order.external_order_number,
        "customer": order.customer_id,
        "currency": order.currency,
        "notes": "changed",
        "lines-TOTAL_FORMS": len(lines),
        "lines-INITIAL_FORMS": len(lines),
    }
    for n, line in enumerate(lines):
        values = {"id": line.pk, "draft_order": order.pk, "line_no": line.line_no, "internal_sku": line.internal_sku,
                  "qty": line.qty,
                  "uom": line.uom, "unit_price": line.unit_price, "currency": line.currency}  # fmt: skip
        data |= {f"lines-{n}-{name}": value for name, value in values.items()}
    return {**data, **changes}


def test_editing_an_approved_order_takes_the_approval_back(org):
    order = factories.draft(org)

    as_role(org, Role.OPS).post(change_page(order), order_form(order, **{"lines-0-qty": "12.500"}))

    order.refresh_from_db()
    assert (order.status, order.approved_by, order.notes) == (DraftStatus.NEEDS_REVIEW, None, "changed")
    assert str(order.lines.first().qty) == "12.500"


def test_an_order_on_its_way_is_not_edited(org):
    order = DraftOrder.objects.for_org(org).get(status=DraftStatus.PUSHED)

    as_role(org, Role.OPS).post(change_page(order), order_form(order))

    order.refresh_from_db()
    assert order.notes != "changed"


class TestConnections:
    FORM = {"connector_type": "DROPZONE_JSON_V1", "status": "ACTIVE", "mode": "sftp", "host": "127.0.0.1", "port": "22",
            "username": "u", "password": SECRET, "export_path": "/in", "atomic_write": "on",
            "connect_timeout": "10", "io_timeout": "30"}  # fmt: skip

    @pytest.fixture
    def client(self, db):
        return as_role(factories.org(), Role.INTEGRATOR)

    def test_a_connection_is_set_up_and_its_secret_never_shown(self, client):
        add = reverse("admin:erp_connectors_erpconnection_add")
        answer = client.post(add, self.FORM, follow=True)
        row = ERPConnection.objects.get()

        assert answer.status_code == 200
        assert row.config["password"] == SECRET
        page = client.get(change_page(row)).content.decode()
        assert SECRET not in page
        assert "Set on" in page

    def test_an_empty_secret_keeps_the_stored_one(self, client):
        client.post(reverse("admin:erp_connectors_erpconnection_add"), self.FORM)
        row = ERPConnection.objects.get()

        client.post(change_page(row), {**self.FORM, "password": "", "connect_timeout": "25"})

        row = ERPConnection.objects.get()
        assert (row.config["password"], row.config["connect_timeout"]) == (SECRET, 25)

    def test_a_wrong_field_is_told_at_the_field(self, client):
        page = client.post(
            reverse("admin:erp_connectors_erpconnection_add"), {**self.FORM, "export_path": "in"}
        ).content.decode()

        assert "must be an absolute path" in page
        assert not ERPConnection.objects.exists()

    def test_a_second_active_one_is_refused_in_words(self, client):
        for _ in range(2):
            answer = client.post(reverse("admin:erp_connectors_erpconnection_add"), self.FORM, follow=True)

        assert "already has an active connection" in answer.content.decode()
        assert ERPConnection.objects.count() == 1

    def test_the_test_says_step_by_step_what_to_do(self, client):
        client.post(reverse("admin:erp_connectors_erpconnection_add"), {**self.FORM, "port": "1"})

        page = run(client, "test_connections", ERPConnection.objects.get())

        assert "does not work yet" in page
        assert "Check the port" in page


def test_a_list_costs_the_same_however_long_it_is(org, django_assert_max_num_queries):
    for _ in range(10):
        factories.draft(org)
    client = as_role(org, Role.ADMIN)
    for model in PAGES:
        with django_assert_max_num_queries(14):
            client.get(list_page(model))


def test_a_user_is_added_to_the_own_org(org):
    data = {
        "email": "neu@example.com",
        "role": "OPS",
        "password1": factories.PASSWORD,
        "password2": factories.PASSWORD,
    }

    as_role(org, Role.ADMIN).post(reverse("admin:tenancy_user_add"), data)

    assert User.objects.get(email="neu@example.com").org == org
