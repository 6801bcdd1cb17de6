"""Where an order is, why, and what to do: on the page, without anybody's secrets."""

import secrets

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from erp_connectors import circuit
from erp_connectors.faults import LOGIN_REFUSED, Fault
from erp_connectors.models import AckFile, ERPConnection, ERPExport
from erp_connectors.services.exports.push import push
from erp_connectors.sftp.key_pairs import new_private_key
from erp_connectors.states import AckFileStatus, ConnectionStatus, ExportStatus, FailedAs
from orderflow.audit.models import Action, AuditLog
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.roles import Role
from tests import factories

SECRETS = {
    "password": "sehr-geheimes-passwort",
    "ssh_key": "PRIVATE-KEY-TEXT",
    "ssh_key_passphrase": "passphrase-xyz",
}
CONFIG = {"mode": "sftp", "host": "127.0.0.1", "port": 1, "username": "u", "export_path": "/in", **SECRETS}
ADD = "admin:erp_connectors_erpconnection_add"


@pytest.fixture
def org(db):
    return factories.org()


@pytest.fixture
def connection(org):
    return factories.connection(org, CONFIG)


def as_role(org, role):
    client = Client()
    client.force_login(factories.user(org, role))
    return client


def page(client, row):
    return client.get(address(row, "change", row.pk)).content.decode()


def listed(client, model, query=""):
    return client.get(address(model, "changelist") + query).content.decode()


def address(row, what, *args):
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{what}", args=args)


def run(client, action, *rows):
    data = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return client.post(address(rows[0], "changelist"), data, follow=True).content.decode()


def failed_export(org, **fields):
    export = push(factories.draft(org).pk, actor=None).export
    error = Fault(LOGIN_REFUSED).as_error(stage="connect", attempt=1, at=timezone.now())
    failed = {"failed_as": FailedAs.NOT_SENT, "error_json": error, **fields}
    factories.set_status(export, ExportStatus.FAILED, **failed)
    factories.set_status(export.draft_order, DraftStatus.ERROR)
    return export


def test_a_failed_export_says_what_happened_and_what_to_do(org, connection):
    export = failed_export(org)
    viewer = as_role(org, Role.VIEWER)

    assert escape(LOGIN_REFUSED.hint) in page(viewer, export)
    assert LOGIN_REFUSED.meaning in listed(viewer, ERPExport)
    assert LOGIN_REFUSED.meaning in listed(viewer, DraftOrder)
    assert export.filename in page(viewer, export.draft_order)


def test_an_export_that_waits_says_what_its_connection_is_held_for(org, connection):
    export = push(factories.draft(org).pk, actor=None).export
    reason = Fault(LOGIN_REFUSED).as_error(stage="connect", attempt=1, at=timezone.now())
    circuit.open_circuit(connection, reason, now=timezone.now())

    assert escape(LOGIN_REFUSED.hint) in page(as_role(org, Role.OPS), export)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.INTEGRATOR])
def test_who_may_not_push_can_not_retry(org, connection, role):
    export = failed_export(org)

    run(as_role(org, role), "retry", export)

    assert ERPExport.objects.count() == 1


def test_another_orgs_rows_can_not_be_acted_on(org, connection):
    export, stranger = failed_export(org), as_role(factories.org(), Role.ADMIN)
    approved = factories.draft(org)

    run(stranger, "retry", export)
    run(stranger, "push", approved)
    run(stranger, "disable_connections", connection)
    tested = stranger.post(reverse("admin:erp_connection_test", args=[connection.pk]))

    assert ERPExport.objects.count() == 1
    assert ERPConnection.objects.get().status == ConnectionStatus.ACTIVE
    assert (tested.status_code, ERPConnection.objects.get().last_test_at) == (404, None)


def test_what_needs_attention_is_one_click_away(org, connection):
    failed, fine = failed_export(org), push(factories.draft(org).pk, actor=None).export
    AckFile.objects.create(org=org, connection=connection, name="stray.json", status=AckFileStatus.UNMATCHED)
    AckFile.objects.create(
        org=org, connection=connection, export=fine, name="good.json", status=AckFileStatus.APPLIED
    )
    client = as_role(org, Role.VIEWER)

    exports, orders, acks = (
        listed(client, model, "?attention=yes") for model in (ERPExport, DraftOrder, AckFile)
    )

    assert failed.filename in exports
    assert fine.filename not in exports
    assert str(failed.draft_order_id) in orders
    assert str(fine.draft_order_id) not in orders
    assert "stray.json" in acks
    assert "good.json" not in acks


def test_the_newest_comes_first(org, connection):
    exports = [push(factories.draft(org).pk, actor=None).export for _ in range(5)]

    text = listed(as_role(org, Role.VIEWER), ERPExport)

    places = [text.index(f">{export.filename}<") for export in exports]
    assert places == sorted(places, reverse=True)


def test_an_order_is_found_by_its_file_with_its_lines_counted_once(org, connection):
    export = failed_export(org)
    push(factories.draft(org).pk, actor=None)

    found = listed(as_role(org, Role.VIEWER), DraftOrder, f"?q={export.filename}")

    assert found.count('class="field-line_count">2<') == 1


@pytest.mark.parametrize("query", ["", "?q=x"])
def test_lists_cost_the_same_with_many_rows(org, connection, django_assert_max_num_queries, query):
    client = as_role(org, Role.ADMIN)
    for _ in range(12):
        failed_export(org)
        factories.connection(org, CONFIG, status=ConnectionStatus.DISABLED)
    for model in (DraftOrder, ERPExport, ERPConnection):
        with django_assert_max_num_queries(10):
            listed(client, model, query)


class TestConnections:
    def form(self, **changes):
        values = {key: value for key, value in CONFIG.items() if key not in SECRETS}
        always = {"connector_type": "DROPZONE_JSON_V1", "status": "ACTIVE", "atomic_write": "on"}
        return {**always, "connect_timeout": "10", "io_timeout": "30", **values, **changes}

    def test_what_was_typed_is_not_sent_back_beside_an_error(self, org):
        answer = as_role(org, Role.INTEGRATOR).post(reverse(ADD), self.form(**SECRETS, export_path="in"))

        assert "must be an absolute path" in answer.content.decode()
        assert not [name for name, secret in SECRETS.items() if secret in answer.content.decode()]

    def test_no_page_shows_a_secret(self, org, connection):
        client, new = as_role(org, Role.ADMIN), {**SECRETS, "ssh_key": new_private_key()}
        client.post(address(connection, "change", connection.pk), self.form(port="2", **new))
        history = client.get(address(connection, "history", connection.pk)).content.decode()
        entry = AuditLog.objects.filter(action=Action.CONNECTION_CHANGED).get()

        shown = [page(client, connection), listed(client, ERPConnection), history, page(client, entry)]
        assert "port" in shown[-1]
        told = {**SECRETS, "new key": new["ssh_key"].splitlines()[2]}
        assert not [name for name, secret in told.items() if any(secret in text for text in shown)]

    def test_saving_unchanged_texts_of_several_lines_changes_nothing(self, org):
        keys = "ssh-ed25519 AAAA\nssh-rsa BBBB"
        row = factories.connection(org, {**CONFIG, "host_key": keys, "ssh_key": "one\ntwo\n"})
        client = as_role(org, Role.ADMIN)

        client.post(
            address(row, "change", row.pk),
            self.form(host_key=keys.replace("\n", "\r\n"), ssh_key="one\r\ntwo\r\n"),
        )

        assert ERPConnection.objects.get().config["host_key"] == keys
        assert ERPConnection.objects.get().config["ssh_key"] == "one\ntwo\n"
        assert not AuditLog.objects.filter(action=Action.HOST_KEY_PINNED).exists()

    def test_a_marker_is_asked_for_by_a_tick_that_says_what_it_is_for(self, org, connection):
        client = as_role(org, Role.ADMIN)
        client.post(address(connection, "change", connection.pk), self.form(done_marker="on"))
        assert ERPConnection.objects.get().config["done_marker"] is True

        client.post(address(connection, "change", connection.pk), self.form())
        assert ERPConnection.objects.get().config["done_marker"] is False

    def test_its_type_stays_what_it_is(self, org, connection):
        as_role(org, Role.ADMIN).post(
            address(connection, "change", connection.pk),
            self.form(connector_type="OTHER", connect_timeout="25"),
        )

        row = ERPConnection.objects.get()
        assert (row.connector_type, row.config["connect_timeout"]) == ("DROPZONE_JSON_V1", 25)

    def test_the_button_tests_and_leads_back(self, org, connection):
        client = as_role(org, Role.INTEGRATOR)
        button = reverse("admin:erp_connection_test", args=[connection.pk])
        assert f'action="{button}"' in page(client, connection)

        answer = client.post(button, follow=True)

        assert "does not work yet" in answer.content.decode()
        assert "the last test failed" in page(client, connection)
        assert ERPConnection.objects.get().last_test_success is False

    def test_a_link_alone_tests_nothing(self, org, connection):
        answer = as_role(org, Role.ADMIN).get(reverse("admin:erp_connection_test", args=[connection.pk]))

        assert (answer.status_code, ERPConnection.objects.get().last_test_at) == (200, None)

    def test_who_may_not_connect_may_not_test(self, org, connection):
        answer = as_role(org, Role.OPS).post(reverse("admin:erp_connection_test", args=[connection.pk]))

        assert answer.status_code == 403

    def test_disabling_makes_room_for_another(self, org, connection):
        client = as_role(org, Role.ADMIN)

        assert "is disabled" in run(client, "disable_connections", connection)
        client.post(reverse(ADD), self.form(password="p"))

        assert sorted(ERPConnection.objects.values_list("status", flat=True)) == ["ACTIVE", "DISABLED"]

    def test_a_config_no_key_opens_says_so_and_can_be_entered_again(self, org, connection, settings):
        settings.ENCRYPTION_MASTER_KEY = secrets.token_hex(32)
        client = as_role(org, Role.ADMIN)

        assert "be decrypted" in page(client, connection)
        assert "be decrypted" in listed(client, ERPConnection)
        client.post(address(connection, "change", connection.pk), self.form(password="new"))

        assert ERPConnection.objects.get().config["password"] == "new"


def test_whose_row_it_is_matters_to_platform_staff_only(org, connection):
    failed_export(org)
    staff = Client()
    staff.force_login(factories.user(None))

    for model in (DraftOrder, ERPExport, ERPConnection):
        assert f'<td class="field-org nowrap">{org.name}' in listed(staff, model)
        assert "field-org" not in listed(as_role(org, Role.ADMIN), model)


def test_a_file_that_was_never_rendered_is_not_there(org, connection):
    export = push(factories.draft(org).pk, actor=None).export

    answer = as_role(org, Role.VIEWER).get(reverse("admin:erp_export_payload", args=[export.pk]))

    assert answer.status_code == 404
