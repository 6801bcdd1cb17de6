"""The secrets of archive, mail server and webhooks, while those refuse, are silent, or say back what they hear."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.storage.handler import StorageHandler
from django.core.management import call_command
from django.utils import timezone

from erp_connectors import archive, tasks
from erp_connectors.models import ERPExport
from erp_connectors.notifications import digests, subscriptions
from erp_connectors.outbox.events import Event
from erp_connectors.outbox.models import Channel, PendingEvent, Subscription
from erp_connectors.services.exports.push import push
from orderflow import archive_settings
from orderflow import settings as deployed
from orderflow.tenancy.roles import Role
from tests import factories
from tests.leaks.canaries import random_text
from tests.notifications.conftest import mailbox as mailbox
from tests.notifications.conftest import receiver as receiver
from tests.servers.ssh import free_port

pytestmark = pytest.mark.deep


@pytest.fixture
def connection(leaks, tmp_path):
    for folder in ("in", "ack"):
        (tmp_path / folder).mkdir()
    config = {"mode": "filesystem", "export_path": f"{tmp_path}/in", "ack_path": f"{tmp_path}/ack"}
    return factories.connection(factories.org(), config)


def test_an_archive_that_refuses_is_away_or_works(leaks, connection, monkeypatch, s3, capfd):
    secret = leaks.canary("S3 secret", s3.secret_key)
    wrong = leaks.canary("wrong S3 secret", random_text(40))
    shown, exports = "", []
    # What it took at first can't be read afterwards.
    for changed in (
        {},
        {"S3_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"},
        {"S3_BUCKET": "no-such-bucket"},
        {"S3_SECRET_ACCESS_KEY": wrong.value},
    ):
        environment = {
            "S3_ENDPOINT_URL": s3.endpoint, "S3_BUCKET": s3.bucket, "S3_ACCESS_KEY_ID": s3.access_key,
            "S3_SECRET_ACCESS_KEY": secret.value, **changed,
        }  # fmt: skip
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        handler: Any = StorageHandler
        monkeypatch.setattr(archive, "storages", handler({"exports": archive_settings.storage(deployed.VAR)}))
        exports.append(push(factories.draft(connection.org).pk, actor=None).export)
        shown += tasks.deliver(str(connection.pk)) + tasks.sweep()
        try:
            call_command("reconcile", connection=connection.pk)
        except SystemExit:
            shown += "reconcile is not content"
    assert ERPExport.objects.get(pk=exports[0].pk).archived_at

    leaks.look(connection.org, connection, exports[0], exports[-1], returned=shown)


def subscribed(connection, **values):
    told = Subscription(org=connection.org, connection=connection, events=list(Event.values), **values)
    subscriptions.create(told, actor=factories.user(connection.org, Role.ADMIN))
    return told


def tell(told, connection):
    PendingEvent.objects.create(subscription=told, event=Event.CIRCUIT_OPENED, connection=connection)
    Subscription.objects.filter(pk=told.pk).update(retry_at=None, given_up_at=None, reported_circuits=[])
    type(connection).objects.filter(pk=connection.pk).update(circuit_opened_at=timezone.now())
    digests.gather(timezone.now() + timedelta(days=1))
    return tasks.notify(str(told.pk))


def test_a_webhook_that_is_refused_told_late_and_sent(leaks, connection, receiver, settings):
    hook = subscribed(connection, channel=Channel.WEBHOOK, url=receiver.url)
    for _ in range(2):
        # The one before signs along for a day.
        subscriptions.replace_secret(hook.pk, actor=factories.user(connection.org, Role.ADMIN))
        hook.refresh_from_db()
        leaks.canary("signing secret", hook.secrets["current"].removeprefix("whsec_"))
    settings.NOTIFICATION_PAUSE_SECONDS = 0
    shown = ""
    for answer in (500, 302, 401, 410, 200):
        receiver.status = answer
        shown += tell(hook, connection)
    Subscription.objects.filter(pk=hook.pk).update(url=f"http://127.0.0.1:{free_port()}/")
    shown += tell(hook, connection)
    shown += repr(subscriptions.send_test(hook.pk, actor=factories.user(connection.org, Role.ADMIN)))
    assert len(receiver.got) >= 5

    sent = "\n".join(f"{request.path} {request.headers} {request.body!r}" for request in receiver.got)
    leaks.look(connection.org, connection, hook, returned=shown, sent=sent)


def test_a_mail_server_that_says_the_password_back(leaks, connection, mailbox, settings):
    settings.EMAIL_HOST_USER = "orderflow"
    settings.EMAIL_HOST_PASSWORD = leaks.canary("e-mail password", random_text(40)).value
    settings.NOTIFICATION_PAUSE_SECONDS = 0
    told = subscribed(connection, addresses="ops@example.com")
    mailbox.repeats_login = True
    shown = tell(told, connection)
    told.refresh_from_db()
    assert "[hidden]" in told.last_error["detail"]
    settings.EMAIL_HOST_USER = ""
    for mailbox.repeats_login, mailbox.refuses_all in ((False, True), (False, False)):
        shown += tell(told, connection)
    settings.EMAIL_PORT = free_port()
    shown += tell(told, connection)
    assert mailbox.got

    sent = "\n".join(message.as_string() for _, message in mailbox.got)
    leaks.look(connection.org, connection, told, returned=shown, sent=sent)
