"""Mails through a real SMTP server: what they say, in whose language, and to whom once."""

import socket
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from erp_connectors import circuit
from erp_connectors.notifications import mail, subscriptions
from erp_connectors.notifications.email_text import EmailText, email_of
from erp_connectors.notifications.models import Notification
from erp_connectors.notifications.notification_content import ConnectionRef, NotificationContent, Occurrence
from erp_connectors.outbox.delivery_errors import NotDelivered
from erp_connectors.outbox.events import Event
from erp_connectors.outbox.models import Subscription
from erp_connectors.services.acks.poll import poll
from orderflow.tenancy.roles import Role
from tests import factories
from tests.notifications.conftest import by_mail, by_webhook, round_of_notifications
from tests.notifications.test_pending_events import REFUSED, open_circuit
from tests.services.acks.test_poll import sent


def refused_by_erp(site, how_many=1):
    exports = sent(site, how_many)
    for export in exports:
        site.answer(f"error_{export.filename}", REFUSED)
    poll(site.connection.pk)
    return exports


def text_of(message):
    return message.get_content().replace("\r\n", "\n")


def test_a_refusal_says_what_since_when_and_what_to_do(site, mailbox):
    by_mail(site.connection, "a@example.com")
    (export,) = refused_by_erp(site)
    round_of_notifications()

    (message,) = mailbox.to("a@example.com")
    text = text_of(message)
    assert message["subject"].strip() == (
        f"[OrderFlow] {site.org.name}: 1 order was refused by the ERP (DROPZONE_JSON_V1 {site.inbox})"
    )
    assert f"- {export.draft_order.external_order_number} ({export.filename}): " in text
    assert "Unknown customer 4711" in text
    assert "Since: 20" in text
    assert "What to do next: " in text
    assert f"https://orders.example.com/admin/erp_connectors/erpexport/{export.pk}/change/" in text
    assert message["auto-submitted"] == "auto-generated"
    assert message.get_content_type() == "text/plain"


def test_many_are_one_mail_with_a_count(site, mailbox):
    by_mail(site.connection, "a@example.com")
    refused_by_erp(site, 12)
    round_of_notifications()

    (message,) = mailbox.to("a@example.com")
    assert "12 orders were refused by the ERP" in message["subject"]
    assert text_of(message).count("\n- PO-") == 5
    assert "- and 7 more" in text_of(message)
    assert "/admin/erp_connectors/erpexport/?attention=yes" in text_of(message)


def test_german_is_german_throughout(site, mailbox):
    by_mail(site.connection, "a@example.com", language="de")
    open_circuit(site.connection)
    round_of_notifications()
    circuit.success(site.connection.pk, now=timezone.now())
    round_of_notifications(timedelta(hours=1))

    opened, closed = (text_of(message) for message in mailbox.to("a@example.com"))
    assert "Die Verbindung ist angehalten" in opened
    assert "Seit: " in opened
    assert "Was jetzt zu tun ist: " in opened
    assert "What to do" not in opened
    assert "Die Verbindung funktioniert wieder" in closed


def test_no_address_learns_of_the_others(site, mailbox):
    by_mail(site.connection, "a@example.com", "b@example.com")
    open_circuit(site.connection)
    round_of_notifications()

    for address, other in (("a@example.com", "b@example.com"), ("b@example.com", "a@example.com")):
        (message,) = mailbox.to(address)
        assert other not in message.as_string()


def test_a_wrong_address_keeps_nothing_from_the_right_one_and_is_told(site, mailbox):
    subscription = by_mail(site.connection, "wrong@example.com", "a@example.com")
    mailbox.refused = {"wrong@example.com"}
    open_circuit(site.connection)
    round_of_notifications()
    round_of_notifications()

    subscription.refresh_from_db()
    assert len(mailbox.to("a@example.com")) == 1
    assert subscription.failing_since
    assert subscription.last_error["code"] == "ADDRESS_REFUSED"
    assert "wrong@example.com: 550" in subscription.last_error["detail"]
    assert subscription.retry_at is None


def test_who_has_it_already_does_not_get_it_with_the_next_try(site, mailbox):
    by_mail(site.connection, "a@example.com", "b@example.com")
    open_circuit(site.connection)
    mailbox.refuses_all = True
    round_of_notifications()
    mailbox.refuses_all = False
    Notification.objects.update(reached=["a@example.com"])
    Subscription.objects.update(retry_at=None)
    round_of_notifications()

    assert (len(mailbox.to("a@example.com")), len(mailbox.to("b@example.com"))) == (0, 1)


def test_a_mail_server_that_is_away_is_tried_again(site, mailbox, settings):
    subscription = by_mail(site.connection, "a@example.com")
    open_circuit(site.connection)
    port, settings.EMAIL_PORT = settings.EMAIL_PORT, 1
    round_of_notifications()
    subscription.refresh_from_db()
    assert subscription.last_error["code"] == "MAIL_SERVER_SILENT"
    settings.EMAIL_PORT = port
    Subscription.objects.update(retry_at=None)
    round_of_notifications()

    assert len(mailbox.to("a@example.com")) == 1


@pytest.mark.parametrize("name", ["Evil\r\nBcc: victim@example.com", "Evil\nBcc: victim@example.com"])
def test_a_name_can_add_no_header(site, mailbox, name):
    site.org.name = name
    site.org.save()
    by_mail(site.connection, "a@example.com")
    open_circuit(site.connection)
    round_of_notifications()

    (message,) = mailbox.to("a@example.com")
    assert message["bcc"] is None
    assert mailbox.to("victim@example.com") == []


def test_no_mail_and_no_webhook_has_a_secret(make_site, mailbox, receiver):
    site = make_site()
    config = {
        "mode": "sftp", "host": "127.0.0.1", "port": 1, "username": "u", "password": "hunter2-secret",
        "export_path": "/in",
    }  # fmt: skip
    connection = factories.connection(factories.org(), config)
    by_mail(connection, "a@example.com")
    by_webhook(connection, receiver.url)
    open_circuit(connection)
    round_of_notifications()

    (message,) = mailbox.to("a@example.com")
    assert "127.0.0.1:/in" in message["subject"]
    assert site.org.name not in message.as_string()
    assert "hunter2" not in message.as_string() + receiver.got[0].body.decode()


def test_a_test_says_for_what_it_is(site, mailbox):
    subscription = by_mail(site.connection, "a@example.com")
    tried = subscriptions.send_test(subscription.pk, actor=factories.user(site.org, Role.ADMIN))

    (message,) = mailbox.to("a@example.com")
    assert tried.problem is None
    assert "This is a test" in text_of(message)
    assert str(site.inbox) in text_of(message)


def test_without_a_mail_server_a_test_says_so(site):
    subscription = by_mail(site.connection, "a@example.com")
    tried = subscriptions.send_test(subscription.pk, actor=factories.user(site.org, Role.ADMIN))

    assert tried.problem.code == "MAIL_NOT_SET_UP"


@pytest.mark.parametrize("over_tls", [False, True])
def test_a_mail_server_whose_name_leads_to_credentials_is_not_connected_to(
    mailbox, settings, monkeypatch, over_tls
):
    settings.EMAIL_HOST, settings.EMAIL_USE_SSL = "mail.example.com", over_tls
    metadata = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 25))]
    connected = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: metadata)
    monkeypatch.setattr(socket.socket, "connect", lambda _sock, address: connected.append(address))

    with pytest.raises(NotDelivered, match="MAIL_SERVER_FORBIDDEN"):
        mail.post(EmailText("subject", "body"), ["it@example.com"], "id", connected.append)

    assert connected == []


def test_the_code_of_a_fault_links_to_its_row_in_the_docs(settings):
    settings.DOCS_URL = "https://docs.example.com/orderflow"
    at = datetime(2026, 11, 30, tzinfo=UTC)
    one = Occurrence(at=at, connection=ConnectionRef("id", "name", "where"), export_id="id", code="DISK_FULL")
    content = NotificationContent(org="a", org_slug="a", count=1, since=at, until=at, first=[one])

    assert (
        "https://docs.example.com/orderflow/faults.md#DISK_FULL"
        in email_of(Event.EXPORT_FAILED, content).body
    )
