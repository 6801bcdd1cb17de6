"""The master key was replaced and the old one is gone: everybody is told what to do, nothing is lost, new credentials
heal it."""

import json
import secrets
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from erp_connectors.admin.connections.pages import STREAM
from erp_connectors.fault_records import hint_of
from erp_connectors.faults import CONFIG_UNREADABLE
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.notifications import subscriptions
from erp_connectors.outbox.models import Channel, Subscription
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.connections import key_rotation
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push
from erp_connectors.services.reconciliation.reconcile import reconcile
from erp_connectors.states import ExportStatus
from orderflow.accounts.models import Token
from orderflow.tenancy.roles import Role
from tests import factories
from tests.notifications.conftest import by_mail, by_webhook, mailbox, receiver, round_of_notifications  # noqa: F401
from tests.servers.asyncssh_server import asyncssh_server

pytestmark = pytest.mark.django_db(transaction=True)

MEANING, HINT = CONFIG_UNREADABLE.meaning, CONFIG_UNREADABLE.hint


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    root = tmp_path_factory.mktemp("erp")
    with asyncssh_server(root) as running:
        yield running


@pytest.fixture
def connection(server, settings):
    """It works; then its key is lost."""
    settings.PUBLIC_URL = "https://orders.example.com"
    for folder in ("in", "ack"):
        (server.root / folder).mkdir(exist_ok=True)
        for file in (server.root / folder).glob("*.json"):
            file.unlink()
    return factories.connection(factories.org(), server.config())


@pytest.fixture
def person(connection):
    return factories.user(connection.org, Role.ADMIN)


@pytest.fixture
def lose_key(settings):
    def lose():
        settings.ENCRYPTION_MASTER_KEY = secrets.token_hex(32)

    return lose


@pytest.fixture
def browser(person):
    """Somebody who logs in as people do."""
    client = Client()
    given = {"username": person.email, "password": factories.PASSWORD}

    def log_in():
        assert client.post(reverse("admin:login"), given).status_code == 302
        return client

    return log_in


def pages(connection):
    change = [connection.pk]
    return {
        "overview": reverse("admin:index"),
        "list": reverse("admin:erp_connectors_erpconnection_changelist"),
        "its page": reverse("admin:erp_connectors_erpconnection_change", args=change),
        "host key": reverse("admin:erp_connection_host_key", args=change),
        "test": reverse("admin:erp_connection_test", args=change),
        "exports": reverse("admin:erp_connectors_erpexport_changelist"),
        "history": reverse("admin:erp_connectors_erpconnection_history", args=change),
        "notifications": reverse("admin:notify_subscription_changelist"),
    }


SAY_IT = {"overview", "list", "its page", "host key"}


def retyped(server):
    return {
        "connector_type": "DROPZONE_JSON_V1", "status": "ACTIVE", "mode": "sftp", "host": server.host,
        "port": str(server.port), "username": server.username, "password": server.password,
        "host_key": server.host_key, "export_path": server.path("in"), "ack_path": server.path("ack"),
        "atomic_write": "on", "connect_timeout": "10", "io_timeout": "30",
    }  # fmt: skip


def published(server):
    return sorted(path.name for path in (server.root / "in").glob("*.json"))


def test_people_log_in_and_every_page_works_and_says_what_to_do(connection, lose_key, browser):
    push(factories.draft(connection.org).pk, actor=None)
    lose_key()
    deliver(connection.pk)
    client = browser()

    for name, address in pages(connection).items():
        answer = client.get(address, follow=True)
        text = answer.content.decode().replace("&#x27;", "'")
        assert answer.status_code == 200, name
        if name in SAY_IT:
            assert MEANING in text, name
            assert HINT in text, name


def test_its_test_says_so(connection, lose_key, browser):
    lose_key()
    client = browser()

    listed = pages(connection)["list"]
    answer = client.post(
        listed, {"action": "test_connections", "_selected_action": [str(connection.pk)]}, follow=True
    )
    by_page = client.post(pages(connection)["test"], headers={"Accept": STREAM})

    assert HINT in answer.content.decode().replace("&#x27;", "'")
    lines = [json.loads(line) for line in b"".join(by_page.streaming_content).splitlines()]
    assert lines[-1]["place"] == "outcome"
    assert HINT in "".join(line["html"] for line in lines).replace("&#x27;", "'")


def test_programs_are_told_and_can_set_it_right(connection, person, lose_key, server):
    program = APIClient()
    program.credentials(HTTP_AUTHORIZATION=f"Token {Token.objects.create(person)[1]}")
    one = f"/api/v1/connectors/{connection.pk}"
    lose_key()

    (listed,) = program.get("/api/v1/connectors").json()["results"]
    tested = program.post(f"{one}/test").json()
    kept = program.patch(one, {"config": {**server.config(), "password": "********"}}, format="json")
    changed = program.patch(one, {"config": server.config()}, format="json")

    assert MEANING.removesuffix(".") in listed["config"]["error"]
    assert listed["config"]["hint"] == HINT
    assert CONFIG_UNREADABLE.code in json.dumps(tested)
    assert kept.status_code == 422
    assert "enter it anew" in str(kept.json()["error"]["details"]["password"])
    assert (changed.status_code, changed.json()["config"]["password"]) == (200, "********")
    assert program.post(f"{one}/test").json()["success"]


def test_commands_go_on_and_tell_it(connection, lose_key):
    lose_key()
    out = StringIO()

    with pytest.raises(SystemExit):
        call_command("doctor", stdout=out)
    assert MEANING.removesuffix(".") in out.getvalue()
    assert HINT in out.getvalue()
    poll(connection.pk)
    connection.refresh_from_db(fields=["poll_error"])
    assert connection.poll_error["code"] == CONFIG_UNREADABLE.code
    assert MEANING.removesuffix(".") in " ".join(reconcile(connection.pk).lines())


def test_the_queue_waits_and_new_credentials_send_each_order_once(connection, lose_key, browser, server):
    sent = push(factories.draft(connection.org).pk, actor=None).export
    deliver(connection.pk)
    waiting = [push(order.pk, actor=None).export for order in factories.drafts(connection.org, 4)]
    lose_key()

    for _ in range(3):
        deliver(connection.pk)
        ERPConnection.objects.update(retry_at=timezone.now())

    assert [export.status for export in ERPExport.objects.order_by("created_at")] == [
        ExportStatus.SENT, *[ExportStatus.PENDING] * 4
    ]  # fmt: skip
    assert {
        hint_of(export.error_json) for export in ERPExport.objects.filter(status=ExportStatus.PENDING)
    } == {HINT}
    late = push(factories.draft(connection.org).pk, actor=None).export
    client, page = browser(), pages(connection)["its page"]

    without = client.post(page, {**retyped(server), "password": ""})
    healed = client.post(page, {**retyped(server), "_test": "1"})

    assert "password" in without.context["adminform"].form.errors
    assert healed.status_code == 302, healed.context["adminform"].form.errors
    ERPConnection.objects.update(retry_at=timezone.now())
    for _ in range(2):
        deliver(connection.pk)
    went_out = [sent, *waiting, late]
    assert published(server) == sorted(export.filename for export in went_out)
    rotation_status = dict(ERPExport.objects.values_list("pk", "status"))
    assert rotation_status == {export.pk: ExportStatus.SENT for export in went_out}
    connection.refresh_from_db()
    assert (connection.circuit_open, connection.config["password"]) == (False, server.password)


def test_it_is_mailed_and_webhooks_wait_for_a_new_secret(
    connection,
    person,
    lose_key,
    receiver,  # noqa: F811
    mailbox,  # noqa: F811
    browser,
):
    hook = by_webhook(connection, receiver.url)
    by_mail(connection, "ops@example.com")
    push(factories.draft(connection.org).pk, actor=None)
    lose_key()

    deliver(connection.pk)
    round_of_notifications()

    texts = [message.get_content() for message in mailbox.to("ops@example.com")]
    assert any("can't be decrypted" in text for text in texts)
    hook = Subscription.objects.get(pk=hook.pk)
    assert (hook.last_error["code"], hook.given_up_at) == ("SECRET_UNREADABLE", None)
    assert receiver.got == []
    page = browser().get(reverse("admin:notify_subscription_change", args=[hook.pk]))
    assert "Replace the secret" in page.content.decode()

    subscriptions.replace_secret(hook.pk, actor=person)
    Subscription.objects.update(retry_at=None)
    round_of_notifications()

    told = [json.loads(body)["type"] for body in receiver.bodies()]
    assert sorted(told) == sorted(set(told)) != []


def test_changing_the_key_names_each_row_that_it_can_not_read(connection, person, lose_key, capsys):
    hook = Subscription(org=connection.org, channel=Channel.WEBHOOK, url="https://hooks.example.com/")
    mail = Subscription(org=connection.org, addresses="it@example.com")
    for row in (hook, mail):
        subscriptions.create(row, actor=person)
    lose_key()

    with pytest.raises(SystemExit) as ended:
        call_command("rotate_encryption_key")

    out = capsys.readouterr().out
    assert ended.value.code == 1
    assert f"Connection {connection.pk} can't be read" in out
    assert f"Webhook {hook.pk} can't be read" in out
    # It keeps no secret, so there is none to replace.
    assert str(mail.pk) not in out
    mail.refresh_from_db()
    assert mail.secrets == {}
    assert not key_rotation.rotation_status().finished
