"""Notifications in the admin: by whom, with what, and what never comes back out."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from erp_connectors.notifications.secrets import renew_secret, signing_keys
from erp_connectors.outbox.events import Event
from erp_connectors.outbox.models import Subscription
from erp_connectors.services.status.attention import NeedKind
from erp_connectors.services.status.overview import overview
from orderflow.audit.models import Action, AuditLog
from orderflow.tenancy.roles import Role
from tests import factories
from tests.notifications.conftest import by_mail, by_webhook, round_of_notifications
from tests.notifications.test_pending_events import open_circuit
from tests.pages import levels

ADD = "admin:notify_subscription_add"


@pytest.fixture
def client(site):
    made = Client()
    made.force_login(factories.user(site.org, Role.INTEGRATOR))
    return made


def page(name, row):
    return reverse(f"admin:{name}", args=[row.pk])


def form(**changed):
    values = {
        "channel": "EMAIL", "connection": "", "addresses": "a@example.com", "url": "", "events": list(Event.values),
        "language": "en", "active": "on",
    }  # fmt: skip
    return values | changed


def webhook(url, **changed):
    return form(channel="WEBHOOK", url=url, addresses="", **changed)


def add(client, values):
    return client.post(reverse(ADD), values, follow=True)


def said(answer):
    return [str(message) for message in answer.context["messages"]]


def test_a_mail_notification_is_set_up_and_audited(site, client):
    answer = add(client, form(addresses="a@example.com, b@example.com\na@example.com"))

    row = Subscription.objects.get()
    assert row.recipients == ["a@example.com", "b@example.com"]
    assert (row.org, row.connection, row.active) == (site.org, None, True)
    assert "Saved" in said(answer)[0]
    entry = AuditLog.objects.get(action=Action.SUBSCRIPTION_CREATED)
    assert entry.after["to"] == ["a@example.com", "b@example.com"]


def test_a_webhooks_secret_is_shown_once_and_never_again(site, client):
    answer = add(client, webhook("https://hooks.example.com/x/capability-of-theirs"))

    row = Subscription.objects.get()
    secret = row.secrets["current"]
    assert secret in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    later = [
        client.get(address).content.decode()
        for address in (
            page("notify_subscription_change", row), page("notify_secret", row),
            page("notify_subscription_history", row), reverse("admin:notify_subscription_changelist"),
        )
    ]  # fmt: skip
    assert not [text for text in later if secret in text]
    trail = str(list(AuditLog.objects.values_list("before", "after")))
    assert secret not in trail
    assert "capability-of-theirs" not in trail


def test_saving_the_form_keeps_the_secret_and_what_workers_wrote(site, client):
    row = by_webhook(site.connection, "https://hooks.example.com/a")
    Subscription.objects.update(last_success_at=timezone.now())
    client.post(
        page("notify_subscription_change", row),
        webhook("https://hooks.example.com/a", connection=str(site.connection.pk), events=["export.failed"]),
    )

    stored = Subscription.objects.get()
    assert stored.events == ["export.failed"]
    assert stored.secrets == row.secrets
    assert stored.last_success_at


def test_another_url_gets_a_new_secret_and_nothing_signed_with_the_old_one(site, client):
    row = by_webhook(site.connection, "https://hooks.example.com/a")
    old = renew_secret(row, timezone.now())
    row.save()

    answer = client.post(
        page("notify_subscription_change", row),
        webhook("https://hooks.example.com/b", connection=str(site.connection.pk)),
    )

    (signing,) = signing_keys(Subscription.objects.get(), timezone.now())
    assert signing != old
    assert signing in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]


def test_replacing_the_secret_asks_first(site, client):
    row = by_webhook(site.connection, "https://hooks.example.com/a")
    client.get(page("notify_secret", row))
    assert Subscription.objects.get().secrets == row.secrets

    answer = client.post(page("notify_secret", row))

    stored = Subscription.objects.get()
    assert stored.secrets["previous"] == row.secrets["current"]
    assert stored.secrets["current"] in answer.content.decode()
    assert AuditLog.objects.filter(action=Action.WEBHOOK_SECRET_REPLACED).exists()


@pytest.mark.parametrize(
    ("values", "field", "problem"),
    [
        (form(addresses=""), "addresses", "required"),
        (form(addresses="a@example.com nonsense"), "addresses", "nonsense is not an e-mail address."),
        (form(addresses="a@example.com\r\nBcc:x@example.com"), "addresses", "not an e-mail address"),
        (
            form(addresses=" ".join(f"a{n}@example.com" for n in range(11))),
            "addresses",
            "At most ten addresses",
        ),
        (form(events=[]), "events", "required"),
        (form(events=["test"]), "events", "Select a valid choice"),
        (webhook(""), "url", "required"),
        (webhook("hooks.example.com"), "url", "whole URL"),
        (webhook("https://"), "url", "whole URL"),
        (webhook("https://h.example.com:99999/"), "url", "whole URL"),
        (webhook("https://h.example.com/a b"), "url", "whole URL"),
        (webhook("https://h.example.com/\r\nX-Evil: 1"), "url", "whole URL"),
        (webhook("file:///etc/passwd"), "url", "whole URL"),
        (webhook("http://h.example.com/"), "url", "Use https"),
        (webhook("https://user:secret@h.example.com/"), "url", "Remove the user name and password"),
    ],
)
def test_what_is_wrong_is_told_at_its_field(client, values, field, problem):
    answer = add(client, values)

    assert problem in str(answer.context["adminform"].form.errors[field])
    assert not Subscription.objects.exists()


def test_another_orgs_connection_can_not_be_chosen(make_site):
    mine, other = make_site(), make_site()
    client = Client()
    client.force_login(factories.user(mine.org, Role.ADMIN))
    answer = add(client, form(connection=str(other.connection.pk)))

    assert "connection" in answer.context["adminform"].form.errors
    assert str(other.inbox) not in client.get(reverse(ADD)).content.decode()


def test_the_same_webhook_twice_and_the_twenty_first_are_refused(site, client):
    add(client, webhook("https://hooks.example.com/a"))
    assert "told of this connection already" in said(add(client, webhook("https://hooks.example.com/a")))[0]
    for n in range(19):
        by_mail(site.connection, f"a{n}@example.com")

    assert "can have 20 notifications" in said(add(client, form()))[0]
    assert Subscription.objects.count() == 20


def test_a_test_says_in_plain_words_what_happened(site, client, receiver):
    row = by_webhook(site.connection, receiver.url)
    assert levels(client.post(page("notify_test", row), follow=True)) == ["success"]
    receiver.status = 401
    refused = client.post(page("notify_test", row), follow=True)
    assert levels(refused) == ["error"]
    assert "HTTP 401" in said(refused)[0]
    assert AuditLog.objects.filter(action=Action.SUBSCRIPTION_TESTED).count() == 2


def test_a_link_alone_sends_nothing(site, client, receiver):
    row = by_webhook(site.connection, receiver.url)
    client.get(page("notify_test", row))

    assert receiver.got == []


def test_one_that_keeps_failing_needs_attention_until_it_works(site, client, receiver):
    row = by_webhook(site.connection, receiver.url)
    user = factories.user(site.org, Role.ADMIN)
    open_circuit(site.connection)
    receiver.status = 500
    for n in range(3):
        assert not [need for need in overview(user).needs if need.kind is NeedKind.NOT_NOTIFIED], n
        round_of_notifications()
        Subscription.objects.update(retry_at=None)

    (need,) = [need for need in overview(user).needs if need.kind is NeedKind.NOT_NOTIFIED]
    assert "HTTP 500" in need.problem.cause
    home = client.get(reverse("admin:index")).content.decode()
    assert page("notify_subscription_change", row) in home
    viewer = Client()
    viewer.force_login(factories.user(site.org, Role.VIEWER))
    change = page("notify_subscription_change", row)
    assert change not in viewer.get(reverse("admin:index")).content.decode()

    receiver.status = 200
    round_of_notifications()
    assert not [need for need in overview(user).needs if need.kind is NeedKind.NOT_NOTIFIED]


def test_switching_off_forgets_what_waits(site, client):
    row = by_mail(site.connection, "a@example.com")
    open_circuit(site.connection)
    values = form(connection=str(site.connection.pk))
    del values["active"]
    client.post(page("notify_subscription_change", row), values)

    stored = Subscription.objects.get()
    assert not stored.active
    assert not stored.pending_events.exists()


def test_removing_is_audited(site, client):
    row = by_mail(site.connection, "a@example.com")
    client.post(page("notify_subscription_delete", row), {"post": "yes"})

    assert not Subscription.objects.exists()
    assert AuditLog.objects.get(action=Action.SUBSCRIPTION_DELETED).before["to"] == ["a@example.com"]


@pytest.mark.parametrize("how_many", [1, 6])
def test_the_list_costs_the_same_however_long_it_is(site, client, how_many, django_assert_max_num_queries):
    for n in range(how_many):
        by_mail(site.connection, f"a{n}@example.com")
    with django_assert_max_num_queries(8):
        client.get(reverse("admin:notify_subscription_changelist"))
